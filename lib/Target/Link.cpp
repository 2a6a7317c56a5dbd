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
// It reads and writes files by name. Written to a mapped file, its output would
// end a full disk in a signal; so its inputs are files in memory and its output
// is a pipe, which lld takes for no place to map, and all that reaches a disk
// is written by OutputFile.
//
// Libraries of the target system are not needed: an artifact may use a fixed
// list of functions, for which stub libraries are generated. What is not on the
// list is an error here, and not when the artifact is loaded.
//
//===----------------------------------------------------------------------===//
#include "Link.h"
#include "headrace/Runtime/Embedded.h"
#include "headrace/Runtime/Rename.h"
#include "lld/Common/Driver.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/InterfaceStub/ELFObjHandler.h"
#include "llvm/InterfaceStub/IFSStub.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/Binary.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace headrace;

//===----------------------------------------------------------------------===//
// Files in memory
//===----------------------------------------------------------------------===//

namespace {
/// Files in memory, with paths under which this process can read them.
class MemoryFiles {
public:
  MemoryFiles() = default;
  MemoryFiles(const MemoryFiles &) = delete;
  MemoryFiles &operator=(const MemoryFiles &) = delete;
  ~MemoryFiles() {
    for (const File &file : files)
      close(file.descriptor);
  }

  /// A file of these parts, one after the other.
  LogicalResult add(StringRef name, ArrayRef<StringRef> parts,
                    std::string &path, std::string &error);
  /// `text` with the files' names for their paths.
  std::string nameFiles(std::string text) const;

private:
  struct File {
    int descriptor;
    std::string name;
    std::string getPath() const {
      return "/proc/self/fd/" + std::to_string(descriptor);
    }
  };
  std::vector<File> files;
};
} // namespace

LogicalResult MemoryFiles::add(StringRef name, ArrayRef<StringRef> parts,
                               std::string &path, std::string &error) {
  auto fail = [&] {
    error = ("cannot keep '" + name + "' in memory: " + std::strerror(errno))
                .str();
    return failure();
  };
  int descriptor = memfd_create(name.str().c_str(), MFD_CLOEXEC);
  if (descriptor < 0)
    return fail();
  files.push_back({descriptor, name.str()});
  path = files.back().getPath();
  for (StringRef bytes : parts)
    while (!bytes.empty()) {
      ssize_t count = write(descriptor, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return fail();
      bytes = bytes.drop_front(static_cast<size_t>(count));
    }
  return success();
}

std::string MemoryFiles::nameFiles(std::string text) const {
  // The last ones first: a path may be the beginning of a longer one.
  for (const File &file : llvm::reverse(files))
    for (size_t at; (at = text.find(file.getPath())) != std::string::npos;)
      text.replace(at, file.getPath().size(), file.name);
  return text;
}

/// Appends to `bytes` what `write` writes to the path that it is given.
static LogicalResult
captureFile(llvm::function_ref<LogicalResult(StringRef path)> write,
            SmallVectorImpl<char> &bytes, std::string &error) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    error = std::string("cannot make a pipe: ") + std::strerror(errno);
    return failure();
  }
  std::thread reader([&] {
    char block[1 << 16];
    ssize_t count;
    while ((count = read(ends[0], block, sizeof block)) > 0 ||
           (count < 0 && errno == EINTR))
      if (count > 0)
        bytes.append(block, block + count);
  });
  LogicalResult result = write("/proc/self/fd/" + std::to_string(ends[1]));
  close(ends[1]); // the last one that can be written to
  reader.join();
  close(ends[0]);
  return result;
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

static LogicalResult addStub(const StubLibrary &library,
                               const llvm::Triple &triple, MemoryFiles &files,
                               std::string &path, std::string &error) {
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
  SmallVector<char, 0> bytes;
  auto write = [&](StringRef file) -> LogicalResult {
    llvm::Error e = llvm::ifs::writeBinaryStub(file, stub);
    if (!e)
      return success();
    error = llvm::toString(std::move(e));
    return failure();
  };
  if (failed(captureFile(write, bytes, error)))
    return failure();
  return files.add(library.soName, StringRef(bytes.data(), bytes.size()), path,
                   error);
}

//===----------------------------------------------------------------------===//
// Linking
//===----------------------------------------------------------------------===//

/// One archive of objects and runtime, all of which is linked: a program may have
/// more stages than a process may have open files. Appends the arguments for it.
static LogicalResult addInputs(ArrayRef<ObjectFile> objects,
                               const llvm::Triple &triple, MemoryFiles &files,
                               std::vector<std::string> &arguments,
                               std::string &error) {
  std::vector<std::pair<std::string, StringRef>> members;
  for (const ObjectFile &object : objects)
    members.emplace_back(object.name,
                         StringRef(object.bytes.data(), object.bytes.size()));
  for (const hr_embedded_object *runtime = hr_embedded_objects; runtime->arch;
       ++runtime)
    if (triple.getArchName() == runtime->arch)
      members.emplace_back(
          std::string("runtime.") + runtime->name,
          StringRef(reinterpret_cast<const char *>(runtime->bytes),
                    runtime->size));
  if (members.size() == objects.size()) {
    error = "no runtime for " + triple.str();
    return failure();
  }
  // The GNU format: a table of names, then headers of 60 bytes, each before its
  // member, at even places.
  auto makeHeader = [](const std::string &name, size_t size) {
    std::string header;
    llvm::raw_string_ostream os(header);
    os << llvm::left_justify(name, 16)
       << llvm::left_justify("0           0     0     644", 32)
       << llvm::left_justify(std::to_string(size), 10) << "`\n";
    return header;
  };
  std::string names;
  std::vector<std::string> headers;
  for (const auto &[name, bytes] : members) {
    headers.push_back(makeHeader("/" + std::to_string(names.size()),
                                 bytes.size()));
    names += name + "/\n";
  }
  names.resize(llvm::alignTo(names.size(), 2), '\n');
  std::string tableHeader = makeHeader("//", names.size());
  SmallVector<StringRef> parts = {"!<arch>\n", tableHeader, names};
  for (const auto &[header, member] : llvm::zip(headers, members)) {
    parts.append({header, member.second});
    if (member.second.size() % 2)
      parts.push_back("\n");
  }
  std::string path;
  if (failed(files.add("objects", parts, path, error)))
    return failure();
  arguments.insert(arguments.end(),
                   {"--whole-archive", path, "--no-whole-archive"});
  return success();
}

/// Runs lld, with its output in `bytes`.
static LogicalResult runLLD(std::vector<std::string> arguments,
                            const MemoryFiles &files,
                            SmallVectorImpl<char> &bytes, std::string &error) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  return captureFile(
      [&](StringRef output) -> LogicalResult {
        arguments.insert(arguments.end(), {"-o", output.str()});
        std::vector<const char *> argv = {"ld.lld"};
        for (const std::string &argument : arguments)
          argv.push_back(argument.c_str());
        std::string messages;
        llvm::raw_string_ostream os(messages);
        lld::Result result =
            lld::lldMain(argv, os, os, {{lld::Gnu, &lld::elf::link}});
        if (result.retCode == 0)
          return success();
        error = "linking failed: " +
                files.nameFiles(StringRef(messages).rtrim().str());
        return failure();
      },
      bytes, error);
}

static StringRef getEmulation(const llvm::Triple &triple) {
  return triple.isAArch64() ? "aarch64linux" : "elf_x86_64";
}

LogicalResult headrace::linkShared(ArrayRef<ObjectFile> objects,
                                   const llvm::Triple &triple, StringRef symbol,
                                   StringRef name, StringRef soName,
                                   bool keepDebug, SmallVectorImpl<char> &bytes,
                                   std::string &error) {
  // A name that leaves room for others in the table of strings.
  std::string longName = soName.str();
  longName.resize(std::max<size_t>(HR_FILE_ROOM, longName.size()), '$');
  std::vector<std::string> arguments = {
      "-m", getEmulation(triple).str(), "-shared", "-soname", longName,
      "--hash-style=gnu", "--build-id=none", "-z", "defs", "-z", "now", "-z",
      "relro", "-z", "noexecstack", "--gc-sections", "--as-needed",
      "--threads=1"};
  if (!keepDebug)
    arguments.push_back("--strip-debug");
  MemoryFiles files;
  std::string script;
  std::string exports = ("{ global: " + symbol + "; local: *; };\n").str();
  if (failed(files.add("exports", StringRef(exports), script, error)))
    return failure();
  arguments.push_back("--version-script=" + script);
  if (failed(addInputs(objects, triple, files, arguments, error)))
    return failure();
  for (const StubLibrary &library : stubLibraries)
    if (failed(addStub(library, triple, files, arguments.emplace_back(),
                       error)))
      return failure();
  if (failed(runLLD(std::move(arguments), files, bytes, error)))
    return failure();
  char message[1024];
  if (hr_rename_code(bytes.data(), bytes.size(), name.str().c_str(),
                     soName.str().c_str(), message, sizeof message))
    return success();
  error = std::string("linking failed: ") + message;
  return failure();
}

LogicalResult headrace::linkRelocatable(ArrayRef<ObjectFile> objects,
                                        const llvm::Triple &triple,
                                        StringRef symbol,
                                        SmallVectorImpl<char> &bytes,
                                        std::string &error) {
  // 1. One object; hidden symbols are still global in it.
  std::vector<std::string> arguments = {"-m", getEmulation(triple).str(), "-r",
                                        "--build-id=none", "--threads=1"};
  MemoryFiles files;
  SmallVector<char, 0> merged;
  if (failed(addInputs(objects, triple, files, arguments, error)) ||
      failed(runLLD(std::move(arguments), files, merged, error)))
    return failure();

  // 2. All but one made local, so that two models fit in one program.
  auto binary = llvm::object::createBinary(llvm::MemoryBufferRef(
      StringRef(merged.data(), merged.size()), "merged.o"));
  if (!binary) {
    error = llvm::toString(binary.takeError());
    return failure();
  }
  llvm::objcopy::ConfigManager config;
  llvm::objcopy::CommonConfig &common = config.Common;
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
  llvm::raw_svector_ostream os(bytes);
  if (llvm::Error e =
          llvm::objcopy::executeObjcopyOnBinary(config, **binary, os)) {
    error = llvm::toString(std::move(e));
    return failure();
  }
  return success();
}
