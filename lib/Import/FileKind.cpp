//===- FileKind.cpp - What a file is that is no exported program ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only names: nothing of such a file is read beyond what tells its kind.
//
//===----------------------------------------------------------------------===//
#include "FileKind.h"
#include "headrace/Runtime/Layout.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"

using namespace llvm;
using namespace headrace;

/// Where the model's Python code is needed to go on.
static constexpr StringRef kExport =
    "load the model in Python and write "
    "torch.export.save(torch.export.export(model.eval(), args), 'model.pt2')";

static std::string withAdvice(StringRef what, StringRef advice) {
  return (what + "; " + advice).str();
}

namespace {
struct Magic {
  size_t offset;
  StringLiteral bytes;
  StringLiteral what;
};
} // namespace

/// Formats that a few fixed bytes tell.
static constexpr Magic kMagics[] = {
    {0, "GGUF", "a GGUF file of llama.cpp: weights without a program"},
    {0, "ggjt", "a GGML file of llama.cpp: weights without a program"},
    {0, "lmgg", "a GGML file of llama.cpp: weights without a program"},
    {0, "\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras saves models"},
    {0, "\x93NUMPY", "a NumPy array"},
    {4, "TFL3", "a TensorFlow Lite model"},
    {4, "ET12", "an ExecuTorch program"},
    {0, "\x1f\x8b", "compressed by gzip"},
    {0, "\x28\xb5\x2f\xfd", "compressed by zstd"},
    {0, "\xfd" "7zXZ", "compressed by xz"},
    {0, "BZh", "compressed by bzip2"},
    {0, "Rar!", "a RAR archive"},
    {0, "7z\xbc\xaf", "a 7z archive"},
    {257, "ustar", "a tar archive"},
};

/// A protobuf message that begins as ONNX's ModelProto does: the version of the
/// IR, then a field of text or a message that lies within the file.
static bool isONNX(StringRef text) {
  if (text.size() < 8 || text[0] != 0x08 || text[1] < 1 || text[1] > 64)
    return false;
  unsigned char tag = text[2];
  // producer_name, producer_version, domain, model_version, doc_string, graph,
  // opset_import.
  if (!llvm::is_contained({0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42}, tag))
    return false;
  return tag == 0x28 || static_cast<unsigned char>(text[3]) != 0;
}

/// Eight bytes of length, then that much JSON.
static bool isSafetensors(StringRef text) {
  if (text.size() < 10 || text[8] != '{')
    return false;
  uint64_t length = support::endian::read64le(text.data());
  return length >= 2 && length < (uint64_t(1) << 32);
}

std::string headrace::nameForeignFile(ArrayRef<char> bytes) {
  StringRef text(bytes.data(), bytes.size());
  if (text.empty())
    return "an empty file";
  if (text.starts_with("version https://git-lfs"))
    return withAdvice("a pointer of Git LFS, not the file itself",
                      "fetch it by 'git lfs pull'");
  if (text.starts_with("\x7f" "ELF")) {
    if (text.take_back(1 << 16).contains(HR_FOOTER_MAGIC))
      return withAdvice("an artifact, which hrcc wrote",
                        "it is compiled already: run it by headrace-run, or "
                        "load it by headrace.load");
    return withAdvice("a shared library or a program",
                      "give what torch.export.save wrote");
  }
  if (text.starts_with("PK\x03\x04") || text.starts_with("PK\x01\x02"))
    return withAdvice("an archive that is cut off or damaged",
                      "copy or write it again");
  // The number that torch.save begins its old files with.
  if (text.starts_with(StringRef("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9", 9)))
    return withAdvice("a file of torch.save in the form before torch 1.6",
                      kExport);
  if (text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5)
    return withAdvice("a pickle, which is not read because it could run any "
                      "code",
                      kExport);
  for (const Magic &magic : kMagics) {
    if (!text.drop_front(std::min(magic.offset, text.size()))
             .starts_with(magic.bytes))
      continue;
    bool isPacked = magic.what.starts_with("compressed") ||
                    magic.what.ends_with("archive");
    return withAdvice(magic.what, isPacked ? StringRef("unpack it first")
                                           : kExport);
  }
  if (isSafetensors(text))
    return withAdvice("a safetensors file: weights without a program",
                      kExport);
  if (isONNX(text))
    return withAdvice("an ONNX model",
                      "export the PyTorch model it was made from by "
                      "torch.export.save");
  StringRef word = text.ltrim();
  if (word.starts_with_insensitive("<!doctype") ||
      word.starts_with_insensitive("<html"))
    return withAdvice("a web page", "download the file itself");
  if (word.starts_with("module") || word.starts_with("#hr.") ||
      word.starts_with("#loc") || word.starts_with("func.func") ||
      word.starts_with("#map"))
    return withAdvice("MLIR text", "the name of such a file ends in .mlir");
  if (word.starts_with("{") || word.starts_with("["))
    return withAdvice("JSON text", "give the whole archive that "
                                   "torch.export.save wrote");
  return "";
}

std::string headrace::nameForeignArchive(ArrayRef<std::string> entries) {
  auto has = [&](auto matches) { return llvm::any_of(entries, matches); };
  auto hasName = [&](StringRef name) {
    return has([&](StringRef entry) {
      return entry == name || entry.ends_with(("/" + name).str());
    });
  };
  auto hasFolder = [&](StringRef folder) {
    return has([&](StringRef entry) {
      return entry.starts_with(folder) || entry.contains(("/" + folder).str());
    });
  };
  if (hasName("serialized_exported_program.json"))
    return withAdvice(
        "an exported program of torch 2.7 or earlier",
        "save it again with torch 2.8 or later: "
        "torch.export.save(torch.export.load(path), path), or export the model "
        "anew");
  if (hasFolder("data/aotinductor/"))
    return withAdvice("a package of AOTInductor, which is compiled already",
                      "give the exported program that it was made from, "
                      "written by torch.export.save");
  if (hasFolder("code/") && hasName("constants.pkl"))
    return withAdvice("a TorchScript model", kExport);
  if (hasName("data.pkl"))
    return withAdvice("a file of torch.save: tensors, or a module by its name",
                      kExport);
  if (has([](StringRef entry) { return entry.ends_with(".npy"); }))
    return withAdvice("NumPy arrays (.npz)", kExport);
  if (hasName("model.weights.h5"))
    return withAdvice("a Keras model", kExport);
  if (hasFolder("Data/com.apple.CoreML/"))
    return withAdvice("a Core ML package", kExport);
  return "";
}
