//===- Messages.cpp - What the compiler says to its user ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Renders messages as text or JSON.
//
//===----------------------------------------------------------------------===//
#include "headrace/Driver/Messages.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace headrace;

void Messages::emit(StringRef severity, StringRef text, const Place &place) {
  std::lock_guard<std::mutex> lock(mutex);
  if (severity == "error")
    ++errors;
  if (format == MessageFormat::JSON) {
    llvm::json::Object object{{"event", severity},
                              {"text", llvm::json::fixUTF8(text)}};
    if (!place.file.empty()) {
      object["file"] = llvm::json::fixUTF8(place.file);
      object["line"] = place.line;
    }
    if (!place.node.empty())
      object["node"] = llvm::json::fixUTF8(place.node);
    os << llvm::json::Value(std::move(object)) << '\n';
    os.flush();
    return;
  }
  if (color) {
    // As gcc and clang color them: red, magenta, cyan.
    char hue = severity == "error" ? '1' : severity == "warning" ? '5' : '6';
    os << "\x1b[1m" << program << ": \x1b[1;3" << hue << 'm' << severity
       << ":\x1b[0m " << (hue == '6' ? "" : "\x1b[1m") << text
       << (hue == '6' ? "" : "\x1b[0m") << '\n';
  } else {
    os << program << ": " << severity << ": " << text << '\n';
  }
  if (!place.file.empty()) {
    os << "  " << place.file;
    // A file as a whole has no line.
    if (place.line > 0)
      os << ':' << place.line;
    if (!place.node.empty())
      os << ", node '" << place.node << "'";
    os << '\n';
    // MLIR files would be quoted too; their lines are long and say little.
    if (!StringRef(place.file).ends_with(".mlir"))
      if (std::string quote = quoteLine(place.file, place.line); !quote.empty())
        os << "    " << quote << '\n';
  } else if (!place.node.empty()) {
    os << "  node '" << place.node << "'\n";
  }
  os.flush();
}

static StringRef getSeverityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
  case DiagnosticSeverity::Remark:
    return "note";
  }
  return "note";
}

void Messages::diagnostic(Diagnostic &diagnostic) {
  emit(getSeverityName(diagnostic.getSeverity()), diagnostic.str(),
       getPlace(diagnostic.getLocation()));
  for (Diagnostic &note : diagnostic.getNotes())
    emit("note", note.str(), getPlace(note.getLocation()));
}

void Messages::progress(StringRef step, unsigned number, unsigned count) {
  if (format != MessageFormat::JSON)
    return;
  std::lock_guard<std::mutex> lock(mutex);
  os << llvm::json::Value(llvm::json::Object{{"event", "step"},
                                             {"step", step},
                                             {"number", number},
                                             {"count", count}})
     << '\n';
  os.flush();
}
