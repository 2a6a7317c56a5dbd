//===- OutputFile.cpp - Files that appear when they are complete ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "OutputFile.h"
#include "headrace/Runtime/Hash.h"
#include "headrace/Support/WeightStore.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include <cstring>

using namespace mlir;
using namespace headrace;

/// The same form as the driver's, so that its clean-up finds them.
static std::string getTemporaryName(StringRef path) {
  return (path + ".hrcc-" + Twine(llvm::sys::Process::getProcessId()) + ".tmp")
      .str();
}

OutputFiles::~OutputFiles() {
  for (const std::string &path : paths)
    llvm::sys::fs::remove(getTemporaryName(path));
}

std::string OutputFiles::add(StringRef path) {
  paths.push_back(path.str());
  return getTemporaryName(path);
}

LogicalResult OutputFiles::commit(std::string &error) {
  // The main output last: when it is there, so is all that it needs.
  for (const std::string &path : llvm::reverse(paths)) {
    if (std::error_code ec =
            llvm::sys::fs::rename(getTemporaryName(path), path)) {
      error = "cannot write '" + path + "': " + ec.message();
      return failure();
    }
  }
  return success();
}

LogicalResult headrace::writeToFile(
    StringRef path, bool append,
    llvm::function_ref<LogicalResult(raw_ostream &, std::string &)> write,
    std::string &error) {
  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec,
                          append ? llvm::sys::fs::CD_OpenExisting
                                 : llvm::sys::fs::CD_CreateAlways,
                          llvm::sys::fs::FA_Write,
                          append ? llvm::sys::fs::OF_Append
                                 : llvm::sys::fs::OF_None);
  if (ec) {
    error = ("cannot write '" + path + "': " + ec.message()).str();
    return failure();
  }
  LogicalResult result = write(os, error);
  os.close();
  ec = os.error();
  os.clear_error();
  if (failed(result))
    return failure();
  if (!ec)
    return success();
  error = ("cannot write '" + path + "': " + ec.message()).str();
  return failure();
}

/// The checksum of a part of a mapped file, whose pages do not pile up.
static uint64_t hashMapped(const Storage &file, ArrayRef<char> part) {
  constexpr size_t slice = 64 << 20;
  uint64_t state[4];
  hrHashBegin(state);
  size_t whole = part.size() / 32 * 32;
  for (size_t at = 0; at < whole; at += slice) {
    ArrayRef<char> piece = part.slice(at, std::min(slice, whole - at));
    hrHashBlocks(state, piece.data(), piece.size());
    file.release(piece);
  }
  return hrHashEnd(state, part.data() + whole, part.size());
}

LogicalResult headrace::appendArtifactData(
    StringRef path, int64_t weightBytes,
    llvm::function_ref<LogicalResult(raw_ostream &, std::string &)>
        writeWeights,
    StringRef signature, hr_footer footer, std::string &error) {
  uint64_t codeBytes = 0;
  if (std::error_code ec = llvm::sys::fs::file_size(path, codeBytes)) {
    error = ("cannot read '" + path + "': " + ec.message()).str();
    return failure();
  }
  std::memcpy(footer.magic, HR_FOOTER_MAGIC, sizeof footer.magic);
  footer.version = HR_FOOTER_VERSION;
  footer.footer_bytes = sizeof footer;
  footer.code_bytes = codeBytes;
  uint64_t end = codeBytes;
  if (writeWeights) {
    footer.weights_offset = llvm::alignTo(codeBytes, HR_WEIGHTS_ALIGN);
    footer.weights_bytes = static_cast<uint64_t>(weightBytes);
    end = footer.weights_offset + footer.weights_bytes;
  }
  footer.signature_offset = end;
  footer.signature_bytes = signature.size();

  // 1. Weights and signature.
  if (failed(writeToFile(
          path, /*append=*/true,
          [&](raw_ostream &os, std::string &error) -> LogicalResult {
            if (writeWeights) {
              os.write_zeros(footer.weights_offset - codeBytes);
              if (failed(writeWeights(os, error)))
                return failure();
            }
            os << signature;
            return success();
          },
          error)))
    return failure();

  // 2. Checksums of what is in the file now.
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file || (*file)->getBufferSize() != end + signature.size()) {
    error = ("cannot read back '" + path + "'").str();
    return failure();
  }
  Storage mapped;
  mapped.bytes = ArrayRef<char>((*file)->getBufferStart(),
                                (*file)->getBufferSize());
  mapped.isMapped =
      (*file)->getBufferKind() == llvm::MemoryBuffer::MemoryBuffer_MMap;
  footer.code_hash = hashMapped(mapped, mapped.bytes.take_front(codeBytes));
  footer.weights_hash =
      hashMapped(mapped, mapped.bytes.slice(footer.weights_offset,
                                            footer.weights_bytes));
  footer.signature_hash =
      hashMapped(mapped, mapped.bytes.slice(end, signature.size()));
  footer.footer_hash = hr_hash(&footer, offsetof(hr_footer, footer_hash));

  // 3. The footer.
  return writeToFile(
      path, /*append=*/true,
      [&](raw_ostream &os, std::string &) {
        os.write(reinterpret_cast<const char *>(&footer), sizeof footer);
        return success();
      },
      error);
}
