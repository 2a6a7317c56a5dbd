//===- OutputFile.cpp - Files that appear when they are complete ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Temporary files and folders, their locks, and how they get their names.
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/OutputFile.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

using namespace headrace;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// With the slash; empty for the working folder.
static std::string getFolder(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

static std::string getFileName(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// The number N of this process's own descriptor that `path` leads to
/// (/dev/stdout, /dev/fd/N, links to them), or -1. Opening such a path would
/// give a second position in the same file, and what stands in it already would
/// be overwritten; replacing it would replace the link in /dev.
static int findOwnDescriptor(std::string path) {
  for (int hops = 0; hops < 40; ++hops) {
    std::string folder = getFolder(path);
    struct statfs system;
    char real[PATH_MAX], self[64];
    std::snprintf(self, sizeof self, "/proc/%d/fd", int(getpid()));
    if (statfs(folder.empty() ? "." : folder.c_str(), &system) == 0 &&
        system.f_type == PROC_SUPER_MAGIC) {
      if (!realpath(folder.c_str(), real) || std::strcmp(real, self) != 0)
        return -1;
      std::string name = getFileName(path);
      char *end;
      long number = std::strtol(name.c_str(), &end, 10);
      return name.empty() || *end || number < 0 || number > INT_MAX
                 ? -1
                 : int(number);
    }
    char target[PATH_MAX];
    ssize_t length = readlink(path.c_str(), target, sizeof target - 1);
    if (length <= 0)
      return -1;
    target[length] = 0;
    path = target[0] == '/' ? target : folder + target;
  }
  return -1;
}

bool headrace::isFileName(const std::string &path) {
  struct stat status;
  return findOwnDescriptor(path) < 0 &&
         (stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode));
}

//===----------------------------------------------------------------------===//
// Temporary files and their locks
//===----------------------------------------------------------------------===//

/// The process in `.hrcc-<process>-<number>.tmp`; 0 if `name` is nothing of ours.
static pid_t parseOwner(const char *name) {
  int process = 0, number = 0, length = 0;
  if (std::sscanf(name, ".hrcc-%d-%d.tmp%n", &process, &number, &length) < 2 ||
      length == 0 || name[length] != 0 || process <= 0)
    return 0;
  return process;
}

static int removeEntry(const char *path, const struct stat *, int, FTW *) {
  return std::remove(path);
}

static void removeFolder(const std::string &path) {
  nftw(path.c_str(), removeEntry, 16, FTW_DEPTH | FTW_PHYS);
}

/// Removes what nobody holds in `folder`: see removeAbandoned.
static void removeUnlocked(const std::string &folder, bool folders,
                           pid_t process) {
  DIR *list = opendir(folder.empty() ? "." : folder.c_str());
  if (!list)
    return;
  while (dirent *entry = readdir(list)) {
    pid_t owner = parseOwner(entry->d_name);
    if (!owner)
      continue;
    std::string path = folder + entry->d_name;
    // Some file systems lock only what is open for writing.
    int fd = open(path.c_str(), O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC |
                                    (folders ? O_RDONLY | O_DIRECTORY : O_RDWR));
    if (fd < 0)
      continue;
    struct stat status;
    // Another user's are not ours to remove, even where we could.
    bool ours = fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
                (folders || S_ISREG(status.st_mode));
    if (ours && (flock(fd, LOCK_EX | LOCK_NB) == 0 || owner == process)) {
      if (folders)
        removeFolder(path);
      else
        unlink(path.c_str());
    }
    close(fd);
  }
  closedir(list);
}

void headrace::removeAbandoned(const std::string &path, pid_t process) {
  removeUnlocked(getFolder(path), /*folders=*/false, process);
}

/// Locks a temporary file or folder that was just made. False if another run
/// took it for abandoned in between: a new one is needed.
static bool lockOwn(int fd) {
  struct stat status;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return false;
  return fstat(fd, &status) == 0 && status.st_nlink > 0;
}

/// A temporary name that this process has not had yet.
static std::string makeName() {
  static unsigned number = 0;
  return ".hrcc-" + std::to_string(getpid()) + "-" +
         std::to_string(__atomic_fetch_add(&number, 1, __ATOMIC_RELAXED)) +
         ".tmp";
}

std::string headrace::getTemporaryRoot() {
  const char *root = std::getenv("TMPDIR");
  return root && *root ? root : "/tmp";
}

int headrace::openUnnamedFile(std::string &name, std::string &error) {
  std::string root = getTemporaryRoot();
  int fd = open(root.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) { // not every file system has these
    std::string pattern = root + "/hrcc-XXXXXX";
    fd = mkostemp(pattern.data(), O_CLOEXEC);
    if (fd >= 0)
      unlink(pattern.c_str());
  }
  if (fd < 0) {
    error = "cannot make a temporary file in '" + root +
            "' (TMPDIR names another folder): " + std::strerror(errno);
    return -1;
  }
  name = "/proc/self/fd/" + std::to_string(fd);
  return fd;
}

TemporaryFolder::TemporaryFolder() {
  std::string root = getTemporaryRoot();
  removeUnlocked(root + "/", /*folders=*/true, 0);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    path = root + "/" + makeName();
    if (mkdir(path.c_str(), 0700) != 0) {
      if (errno == EEXIST)
        continue;
      break;
    }
    descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0 && lockOwn(descriptor))
      return;
    if (descriptor >= 0)
      close(descriptor);
    descriptor = -1;
    rmdir(path.c_str());
  }
  error = "cannot make a temporary folder in '" + root +
          "' (TMPDIR names another one): " + std::strerror(errno);
  path.clear();
}

TemporaryFolder::~TemporaryFolder() {
  if (!isValid())
    return;
  removeFolder(path);
  close(descriptor);
}

//===----------------------------------------------------------------------===//
// One output
//===----------------------------------------------------------------------===//

bool OutputFile::fail(const char *why, std::string &error) const {
  error = "cannot write '" + path + "': " + why;
  return false;
}

OutputFile::~OutputFile() {
  if (isNamed)
    unlink(temporary.c_str());
  if (descriptor >= 0)
    close(descriptor);
  if (through >= 0)
    close(through);
}

bool OutputFile::openAnonymous(std::string &error) {
  isThrough = true;
  descriptor = openUnnamedFile(temporary, error);
  return descriptor >= 0;
}

bool OutputFile::open(bool executable, std::string &error) {
  if (path.empty())
    return fail("it has no name", error);
  int own = findOwnDescriptor(path);
  if (own >= 0) {
    through = fcntl(own, F_DUPFD_CLOEXEC, 3);
    return through < 0 ? fail(std::strerror(errno), error)
                       : openAnonymous(error);
  }
  struct stat status;
  if (stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode))
      return fail("it is a folder", error);
    if (!S_ISREG(status.st_mode))
      return access(path.c_str(), W_OK) != 0
                 ? fail(std::strerror(errno), error)
                 : openAnonymous(error);
  } else if (errno != ENOENT) {
    return fail(std::strerror(errno), error);
  }
  std::string name = getFileName(path);
  if (name.empty() || name == "." || name == "..")
    return fail("it is a folder", error);
  if (name.size() > NAME_MAX)
    return fail(std::strerror(ENAMETOOLONG), error);

  // Whether the file can be written turns out here, before the work.
  std::string folder = getFolder(path);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    temporary = folder + makeName();
    descriptor = ::open(temporary.c_str(),
                        O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                        executable ? 0777 : 0666);
    if (descriptor < 0) {
      if (errno == EEXIST)
        continue;
      return fail(std::strerror(errno), error);
    }
    if (lockOwn(descriptor)) {
      isNamed = true;
      return true;
    }
    close(descriptor);
    descriptor = -1;
  }
  return fail(std::strerror(EEXIST), error);
}

/// Writes all bytes; errno says why not.
static bool writeAll(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    // One call writes at most 2 GiB.
    ssize_t count = ::write(fd, bytes, std::min(size, size_t(1) << 30));
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      if (count == 0)
        errno = EIO;
      return false;
    }
    bytes += count;
    size -= size_t(count);
  }
  return true;
}

int64_t OutputFile::getBytes() const {
  struct stat status;
  return fstat(descriptor, &status) == 0 ? status.st_size : 0;
}

bool OutputFile::write(const char *bytes, size_t size, std::string &error) {
  return writeAll(descriptor, bytes, size) || fail(std::strerror(errno), error);
}

bool OutputFile::commit(std::string &error) {
  if (std::exchange(isCommitted, true))
    return true;
  if (!isThrough) {
    if (rename(temporary.c_str(), path.c_str()) != 0)
      return fail(std::strerror(errno), error);
    isNamed = false;
    // Some file systems say only now that there was no room.
    int fd = std::exchange(descriptor, -1);
    return close(fd) == 0 || errno == EINTR ||
           fail(std::strerror(errno), error);
  }
  // A pipe's reader may only come now.
  if (through < 0)
    through = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (through < 0 || lseek(descriptor, 0, SEEK_SET) < 0)
    return fail(std::strerror(errno), error);
  char block[1 << 16];
  ssize_t count;
  while ((count = read(descriptor, block, sizeof block)) > 0)
    if (!writeAll(through, block, size_t(count)))
      return fail(std::strerror(errno), error);
  if (count < 0)
    return fail(std::strerror(errno), error);
  int fd = std::exchange(through, -1);
  return close(fd) == 0 || errno == EINTR || fail(std::strerror(errno), error);
}

//===----------------------------------------------------------------------===//
// All outputs
//===----------------------------------------------------------------------===//

bool OutputFiles::identify(const std::string &path, Identity &identity) {
  struct stat status;
  if (stat(path.c_str(), &status) == 0) {
    identity = {status.st_dev, status.st_ino, ""};
    return true;
  }
  std::string folder = getFolder(path);
  if (stat(folder.empty() ? "." : folder.c_str(), &status) != 0)
    return false;
  identity = {status.st_dev, status.st_ino, getFileName(path)};
  return true;
}

bool OutputFiles::addInput(const std::string &path, std::string &error,
                           const std::string &label) {
  Identity identity;
  const std::string &name = label.empty() ? path : label;
  if (!identify(path, identity))
    return true; // reading it will fail
  for (const Name &output : outputs)
    if (output.identity == identity) {
      error = "cannot write '" + output.path + "': it is the input '" + name +
              "'";
      return false;
    }
  inputs.push_back({identity, name});
  return true;
}

bool OutputFiles::check(const std::string &path, bool open,
                        std::string &error) {
  Identity identity;
  struct stat status;
  // A device is no file that could be lost; two outputs may go to /dev/null.
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return true;
  if (!identify(path, identity))
    return true; // there is no folder, as opening it will say
  auto fail = [&](const char *one, const char *named, const std::string &name) {
    error = "cannot write '" + path + "': it is " +
            (name == path ? one : std::string(named) + " '" + name + "'");
    return false;
  };
  for (const Name &input : inputs)
    if (input.identity == identity)
      return fail("an input", "the input", input.path);
  for (Name &output : outputs) {
    if (output.identity != identity)
      continue;
    if (output.path != path || output.isOpen || !open)
      return fail("another output", "the output", output.path);
    output.isOpen = true;
    return true;
  }
  outputs.push_back({identity, path, open});
  return true;
}

bool OutputFiles::reserve(const std::string &path, std::string &error) {
  if (!check(path, /*open=*/false, error))
    return false;
  std::string folder = getFolder(path);
  const char *where = isFileName(path) ? folder.c_str() : path.c_str();
  struct stat status;
  int reason = 0;
  if (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    reason = EISDIR;
  else if (access(*where ? where : ".", W_OK) != 0)
    reason = errno;
  if (reason)
    error = "cannot write '" + path + "': " + std::strerror(reason);
  return reason == 0;
}

OutputFile *OutputFiles::add(const std::string &path, std::string &error,
                             bool executable) {
  if (!check(path, /*open=*/true, error))
    return nullptr;
  removeAbandoned(path);
  std::unique_ptr<OutputFile> file(new OutputFile(path));
  if (!file->open(executable, error))
    return nullptr;
  files.push_back(std::move(file));
  return files.back().get();
}

bool OutputFiles::commit(std::string &error) {
  for (auto file = files.rbegin(); file != files.rend(); ++file)
    if (!(*file)->commit(error))
      return false;
  files.clear();
  return true;
}
