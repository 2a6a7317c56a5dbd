//===- Messages.h - What the compiler says to its user --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Errors, warnings and progress, on one stream, as text or as one JSON object
// per line (for the Python package and other programs). An error names the
// line of the user's Python program that the operation came from, and quotes
// it where the file can be read:
//
//     hrcc: error: unsupported operator aten.foo.default
//       model.py:12, node 'foo_1'
//         return torch.foo(x)
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DRIVER_MESSAGES_H
#define HEADRACE_DRIVER_MESSAGES_H

#include "headrace/Support/Place.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

namespace headrace {

enum class MessageFormat { Text, JSON };

class Messages {
public:
  /// With `color`, text is as on a terminal that has colors.
  Messages(llvm::raw_ostream &os, MessageFormat format, llvm::StringRef program,
           bool color = false)
      : os(os), format(format), program(program.str()), color(color) {}

  void error(const llvm::Twine &text) { emit("error", text.str(), {}); }
  void warning(const llvm::Twine &text) { emit("warning", text.str(), {}); }
  void note(const llvm::Twine &text) { emit("note", text.str(), {}); }
  /// A diagnostic of MLIR and its notes.
  void diagnostic(mlir::Diagnostic &diagnostic);
  /// Step `number` (from 1) of `count` begins. Only JSON shows it.
  void progress(llvm::StringRef step, unsigned number, unsigned count);

  unsigned getErrorCount() const { return errors; }

private:
  void emit(llvm::StringRef severity, llvm::StringRef text, const Place &place);

  llvm::raw_ostream &os;
  MessageFormat format;
  std::string program;
  bool color;
  std::mutex mutex;
  unsigned errors = 0;
};

} // namespace headrace
#endif // HEADRACE_DRIVER_MESSAGES_H
