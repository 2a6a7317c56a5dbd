//===- OutputFile.h - Files that appear when they are complete ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every file that a program of ours writes is written here, so that
//
//   - it has its name only once it is complete,
//   - nothing that is read is ever replaced, whatever name it goes by,
//   - what is no regular file (a device, a pipe) is written to and not replaced,
//   - what a program that was killed has left is removed by its parent, or by
//     the next run in the same folder.
//
// A temporary file lies in its output's folder, a temporary folder in TMPDIR. Both
// are called `.hrcc-<process>-<number>.tmp`, and their owner holds a lock on them
// (flock), which goes with the owner's death: what is not locked is nobody's.
//
// Needs nothing of LLVM: headrace-run writes its files in the same way.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_OUTPUTFILE_H
#define HEADRACE_SUPPORT_OUTPUTFILE_H

#include <cstdint>
#include <memory>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace headrace {

/// One output, from the first byte to its name.
class OutputFile {
public:
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;
  /// Removes what was not committed.
  ~OutputFile();

  /// As the user said it.
  const std::string &getPath() const { return path; }
  /// A name under which the bytes written so far can be read; a regular file.
  const std::string &getTemporary() const { return temporary; }
  /// Open for reading and writing, at the end of what was written.
  int getDescriptor() const { return descriptor; }
  /// Bytes written so far.
  int64_t getBytes() const;
  /// Whether it gets its name: files can lie beside it.
  bool isFile() const { return !isThrough; }
  /// Appends bytes. On failure `error` says which file and why.
  bool write(const char *bytes, size_t size, std::string &error);
  /// Gives the file its name; writes the bytes to what is no regular file. Once.
  bool commit(std::string &error);

private:
  friend class OutputFiles;
  explicit OutputFile(const std::string &path) : path(path) {}
  bool open(bool executable, std::string &error);
  bool openAnonymous(std::string &error);
  bool fail(const char *why, std::string &error) const;

  std::string path, temporary;
  int descriptor = -1;
  /// Where `commit` writes the bytes to, if that is no regular file: the path,
  /// or a descriptor of this process.
  bool isThrough = false;
  int through = -1;
  /// Whether there is a file to be removed.
  bool isNamed = false;
  bool isCommitted = false;
};

/// The outputs of one run, and what it reads.
class OutputFiles {
public:
  /// Names a file that is read; messages call it `label`, or by its path. It
  /// need not exist. Fails if it is an output.
  bool addInput(const std::string &path, std::string &error,
                const std::string &label = {});
  /// Checks that `path` can be written to, is no file that is read and no other
  /// output, and keeps it: for what is written later, or perhaps not at all.
  bool reserve(const std::string &path, std::string &error);
  /// Begins an output; null, with the reason in `error`, if its folder cannot be
  /// written to, or for what `reserve` refuses. The pointer stays good until
  /// all are committed.
  OutputFile *add(const std::string &path, std::string &error,
                  bool executable = false);
  /// Commits all, the first one last: when it is there, so is what it needs.
  bool commit(std::string &error);

private:
  /// A file that there is, by device and number; one that there is not, by
  /// its folder's and its name.
  struct Identity {
    dev_t device = 0;
    ino_t number = 0;
    std::string name;
    bool operator==(const Identity &) const = default;
  };
  struct Name {
    Identity identity;
    std::string path;
    /// Of an output: it is only reserved yet.
    bool isOpen = false;
  };
  static bool identify(const std::string &path, Identity &identity);
  bool check(const std::string &path, bool open, std::string &error);

  std::vector<Name> inputs, outputs;
  std::vector<std::unique_ptr<OutputFile>> files;
};

/// A folder for intermediate files that goes away with its owner.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;
  bool isValid() const { return descriptor >= 0; }
  /// Names the folder, and TMPDIR.
  const std::string &getError() const { return error; }
  const std::string &getPath() const { return path; }
  /// `<folder>/<name>`
  std::string file(const std::string &name) const { return path + "/" + name; }

private:
  std::string path, error;
  int descriptor = -1;
};

/// Whether writing `path` makes a file of that name: it is no device, no pipe
/// and no descriptor of this process. True if nothing is there yet.
bool isFileName(const std::string &path);

/// Where temporary folders lie: what TMPDIR names, else /tmp.
std::string getTemporaryRoot();

/// An open temporary file without a name, of which `name` is one that works as
/// long as it is open; -1 on failure.
int openUnnamedFile(std::string &name, std::string &error);

/// Removes temporary files in the folder of `path` that nobody holds a lock on,
/// and those of `process` (0: of none), which is dead, in any case: not every
/// file system has locks.
void removeAbandoned(const std::string &path, pid_t process = 0);

} // namespace headrace
#endif // HEADRACE_SUPPORT_OUTPUTFILE_H
