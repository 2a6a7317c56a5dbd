//===- Link.cpp - Objects to shared objects, in process -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// lld runs in this process. It is not thread-safe, so calls take turns, and it
// resets every cl::opt of the process: nothing of ours is one.
//
// Libraries of the target system are not needed: an artifact may use a fixed
// list of functions, for which stub libraries are generated. What is not on the
// list is an error here, and not when the artifact is loaded.
//
//===----------------------------------------------------------------------===//
#include "Link.h"
#include "headrace/Runtime/Embedded.h"
#include "lld/Common/Driver.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/InterfaceStub/ELFObjHandler.h"
#include "llvm/InterfaceStub/IFSStub.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/Binary.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace headrace;

//===----------------------------------------------------------------------===//
// Temporary files
//===----------------------------------------------------------------------===//

TempFolder::TempFolder() {
  SmallString<128> folder;
  if (std::error_code ec =
          llvm::sys::fs::createUniqueDirectory("headrace", folder)) {
    error = "cannot create a temporary folder: " + ec.message();
    return;
  }
  path = folder.str().str();
}

TempFolder::~TempFolder() {
  if (isValid())
    llvm::sys::fs::remove_directories(path);
}

std::string TempFolder::file(StringRef name) const {
  SmallString<128> result(path);
  llvm::sys::path::append(result, name);
  return result.str().str();
}

static LogicalResult writeFile(StringRef path, StringRef bytes,
                               std::string &error) {
  std::error_code ec;
  llvm::raw_fd_ostream os(path, ec);
  if (!ec) {
    os << bytes;
    os.close();
    ec = os.error();
    os.clear_error();
  }
  if (!ec)
    return success();
  error = ("cannot write '" + path + "': " + ec.message()).str();
  return failure();
}

//===----------------------------------------------------------------------===//
// Stub libraries
//===----------------------------------------------------------------------===//

namespace {
struct StubLibrary {
  StringRef soName;
  ArrayRef<StringRef> functions;
};
} // namespace

// Functions of the runtime (lib/Runtime/Runtime.h) and those that LLVM calls on
// its own.
static constexpr StringRef libcFunctions[] = {
    "calloc",   "free",     "memcpy",  "memset",    "memmove",
    "memcmp",   "bcmp",     "strlen",  "strcmp",    "snprintf",
    "vsnprintf", "strerror", "open",   "close",     "lseek",
    "read",     "pread",    "mmap",    "munmap",    "madvise",
    "syscall",  "getauxval", "__errno_location", "clock_gettime",
    "dl_iterate_phdr"};
static constexpr StringRef libpthreadFunctions[] = {
    "pthread_create", "pthread_join", "pthread_sigmask"};
// What scalar arithmetic may become where the machine has no instruction and
// our own functions are not asked for.
static constexpr StringRef libmFunctions[] = {
    "fma",    "fmaf",   "fmod",   "fmodf", "floor",  "floorf",  "ceil",
    "ceilf",  "trunc",  "truncf", "rint",  "rintf",  "round",   "roundf",
    "roundeven", "roundevenf", "nearbyint", "nearbyintf", "fmin", "fminf",
    "fmax",   "fmaxf",  "ldexp",  "ldexpf", "frexp", "frexpf"};
static constexpr StubLibrary stubLibraries[] = {
    {"libc.so.6", libcFunctions},
    {"libpthread.so.0", libpthreadFunctions},
    {"libm.so.6", libmFunctions}};

static LogicalResult writeStub(const StubLibrary &library,
                               const llvm::Triple &triple, StringRef path,
                               std::string &error) {
  llvm::ifs::IFSStub stub;
  stub.IfsVersion = llvm::VersionTuple(3, 0);
  stub.SoName = library.soName.str();
  stub.Target.ObjectFormat = "ELF";
  stub.Target.Arch = triple.isAArch64() ? llvm::ELF::EM_AARCH64
                                        : llvm::ELF::EM_X86_64;
  stub.Target.BitWidth = llvm::ifs::IFSBitWidthType::IFS64;
  stub.Target.Endianness = llvm::ifs::IFSEndiannessType::Little;
  for (StringRef name : library.functions) {
    llvm::ifs::IFSSymbol symbol(name.str());
    symbol.Type = llvm::ifs::IFSSymbolType::Func;
    stub.Symbols.push_back(symbol);
  }
  llvm::sort(stub.Symbols);
  if (llvm::Error e = llvm::ifs::writeBinaryStub(path, stub)) {
    error = llvm::toString(std::move(e));
    return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Linking
//===----------------------------------------------------------------------===//

/// Writes objects and runtime to files; appends their paths.
static LogicalResult writeInputs(ArrayRef<ObjectFile> objects,
                                 const llvm::Triple &triple, TempFolder &temps,
                                 std::vector<std::string> &paths,
                                 std::string &error) {
  if (!temps.isValid()) {
    error = temps.getError().str();
    return failure();
  }
  for (auto [i, object] : llvm::enumerate(objects)) {
    paths.push_back(temps.file(std::to_string(i) + ".o"));
    if (failed(writeFile(paths.back(),
                         StringRef(object.bytes.data(), object.bytes.size()),
                         error)))
      return failure();
  }
  bool found = false;
  for (const hr_embedded_object *runtime = hr_embedded_objects; runtime->arch;
       ++runtime) {
    if (triple.getArchName() != runtime->arch)
      continue;
    found = true;
    paths.push_back(temps.file(std::string("runtime.") + runtime->name + ".o"));
    if (failed(writeFile(
            paths.back(),
            StringRef(reinterpret_cast<const char *>(runtime->bytes),
                      runtime->size),
            error)))
      return failure();
  }
  if (found)
    return success();
  error = "no runtime for " + triple.str();
  return failure();
}

static LogicalResult runLLD(ArrayRef<std::string> arguments,
                            std::string &error) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<const char *> argv = {"ld.lld"};
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  std::string messages;
  llvm::raw_string_ostream os(messages);
  lld::Result result =
      lld::lldMain(argv, os, os, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode == 0)
    return success();
  error = "linking failed: " + StringRef(messages).rtrim().str();
  return failure();
}

static StringRef getEmulation(const llvm::Triple &triple) {
  return triple.isAArch64() ? "aarch64linux" : "elf_x86_64";
}

LogicalResult headrace::linkShared(ArrayRef<ObjectFile> objects,
                                   const llvm::Triple &triple, StringRef symbol,
                                   StringRef soName, bool keepDebug,
                                   TempFolder &temps, StringRef path,
                                   std::string &error) {
  std::vector<std::string> arguments = {
      "-m", getEmulation(triple).str(), "-shared", "-o", path.str(),
      "-soname", soName.str(), "--hash-style=gnu", "--build-id=none",
      "-z", "defs", "-z", "now", "-z", "relro", "-z", "noexecstack",
      "--gc-sections", "--as-needed", "--threads=1"};
  if (!keepDebug)
    arguments.push_back("--strip-debug");
  std::string script = temps.file("exports");
  if (failed(writeFile(script,
                       ("{ global: " + symbol + "; local: *; };\n").str(),
                       error)))
    return failure();
  arguments.push_back("--version-script=" + script);
  if (failed(writeInputs(objects, triple, temps, arguments, error)))
    return failure();
  for (const StubLibrary &library : stubLibraries) {
    std::string stub = temps.file(library.soName);
    if (failed(writeStub(library, triple, stub, error)))
      return failure();
    arguments.push_back(stub);
  }
  return runLLD(arguments, error);
}

LogicalResult headrace::linkRelocatable(ArrayRef<ObjectFile> objects,
                                        const llvm::Triple &triple,
                                        StringRef symbol, TempFolder &temps,
                                        StringRef path, std::string &error) {
  // 1. One object; hidden symbols are still global in it.
  std::string merged = temps.file("merged.o");
  std::vector<std::string> arguments = {
      "-m", getEmulation(triple).str(), "-r", "-o", merged,
      "--build-id=none", "--threads=1"};
  if (failed(writeInputs(objects, triple, temps, arguments, error)) ||
      failed(runLLD(arguments, error)))
    return failure();

  // 2. All but one made local, so that two models fit in one program.
  auto buffer = llvm::MemoryBuffer::getFile(merged);
  if (!buffer) {
    error = "cannot read '" + merged + "': " + buffer.getError().message();
    return failure();
  }
  auto binary = llvm::object::createBinary(**buffer);
  if (!binary) {
    error = llvm::toString(binary.takeError());
    return failure();
  }
  llvm::objcopy::ConfigManager config;
  llvm::objcopy::CommonConfig &common = config.Common;
  common.InputFilename = merged;
  common.OutputFilename = path;
  auto pattern = llvm::objcopy::NameOrPattern::create(
      symbol, llvm::objcopy::MatchStyle::Literal,
      [](llvm::Error e) { return e; });
  if (!pattern) {
    error = llvm::toString(pattern.takeError());
    return failure();
  }
  if (llvm::Error e =
          common.SymbolsToKeepGlobal.addMatcher(std::move(pattern))) {
    error = llvm::toString(std::move(e));
    return failure();
  }
  SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  if (llvm::Error e =
          llvm::objcopy::executeObjcopyOnBinary(config, **binary, os)) {
    error = llvm::toString(std::move(e));
    return failure();
  }
  return writeFile(path, StringRef(bytes.data(), bytes.size()), error);
}
