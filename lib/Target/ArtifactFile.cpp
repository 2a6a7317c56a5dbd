//===- ArtifactFile.cpp - What lies behind the code -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ArtifactFile.h"
#include "headrace/Runtime/Hash.h"
#include "headrace/Support/WeightStore.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cstring>

using namespace mlir;
using namespace headrace;

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
    OutputFile &file, uint64_t codeBytes, int64_t weightBytes,
    llvm::function_ref<LogicalResult(raw_ostream &, std::string &)>
        writeWeights,
    StringRef signature, hr_footer footer, std::string &error) {
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
  if (failed(writeTo(
          file,
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
  auto buffer =
      llvm::MemoryBuffer::getFile(file.getTemporary(), /*IsText=*/false,
                                  /*RequiresNullTerminator=*/false);
  if (!buffer || (*buffer)->getBufferSize() != end + signature.size()) {
    error = "cannot read back '" + file.getPath() + "'";
    return failure();
  }
  Storage mapped;
  mapped.bytes = ArrayRef<char>((*buffer)->getBufferStart(),
                                (*buffer)->getBufferSize());
  mapped.isMapped =
      (*buffer)->getBufferKind() == llvm::MemoryBuffer::MemoryBuffer_MMap;
  footer.code_hash = hashMapped(mapped, mapped.bytes.take_front(codeBytes));
  footer.weights_hash =
      hashMapped(mapped, mapped.bytes.slice(footer.weights_offset,
                                            footer.weights_bytes));
  footer.signature_hash =
      hashMapped(mapped, mapped.bytes.slice(end, signature.size()));
  footer.footer_hash = hr_hash(&footer, offsetof(hr_footer, footer_hash));

  // 3. The footer.
  return writeTo(
      file,
      [&](raw_ostream &os, std::string &) {
        os.write(reinterpret_cast<const char *>(&footer), sizeof footer);
        return success();
      },
      error);
}

std::string headrace::findOwnerOfWeights(StringRef path, StringRef output,
                                         ArrayRef<uint64_t> id) {
  auto open = [](StringRef name) {
    return llvm::MemoryBuffer::getFile(name, /*IsText=*/false,
                                       /*RequiresNullTerminator=*/false);
  };
  auto weights = open(path);
  hr_footer footer;
  if (!weights || (*weights)->getBufferSize() < sizeof footer)
    return "";
  std::memcpy(&footer, (*weights)->getBufferEnd() - sizeof footer,
              sizeof footer);
  if (std::memcmp(footer.magic, HR_FOOTER_MAGIC, sizeof footer.magic) != 0 ||
      ArrayRef<uint64_t>(footer.id) == id)
    return "";
  SmallString<128> other(output);
  llvm::sys::path::replace_extension(
      other, llvm::sys::path::extension(output) == ".o" ? "so" : "o");
  // Code has the id among its tables, of whatever kind it is.
  auto code = open(other);
  StringRef theirs(reinterpret_cast<const char *>(footer.id), sizeof footer.id);
  return code && (*code)->getBuffer().contains(theirs)
             ? std::string(other)
             : "";
}
