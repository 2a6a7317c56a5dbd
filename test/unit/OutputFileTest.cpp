//===- OutputFileTest.cpp - Tests of files that appear when complete ------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Support/OutputFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace headrace;

namespace {
class OutputFileTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("headrace-test", root));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(root); }

  std::string path(llvm::StringRef name) const {
    return (root + "/" + name).str();
  }
  void put(llvm::StringRef name, llvm::StringRef text) {
    std::error_code ec;
    llvm::raw_fd_ostream(path(name), ec) << text;
    ASSERT_FALSE(ec);
  }
  std::string get(llvm::StringRef name) {
    auto file = llvm::MemoryBuffer::getFile(path(name));
    return file ? (*file)->getBuffer().str() : "none";
  }
  /// Names in the folder, in order.
  std::vector<std::string> list() {
    std::vector<std::string> names;
    std::error_code ec;
    for (llvm::sys::fs::directory_iterator it(root, ec), end; it != end;
         it.increment(ec))
      names.push_back(llvm::sys::path::filename(it->path()).str());
    llvm::sort(names);
    return names;
  }

  llvm::SmallString<128> root;
  std::string error;
};
} // namespace

TEST_F(OutputFileTest, AppearsWhenAllAreComplete) {
  put("a", "old");
  OutputFiles files;
  OutputFile *a = files.add(path("a"), error), *b = files.add(path("b"), error);
  ASSERT_TRUE(a && b) << error;
  ASSERT_TRUE(a->write("new", 3, error) && b->write("b", 1, error)) << error;
  EXPECT_EQ(a->getBytes(), 3);
  EXPECT_EQ(get("a"), "old");
  EXPECT_EQ(get("b"), "none");
  ASSERT_TRUE(files.commit(error)) << error;
  EXPECT_EQ(get("a"), "new");
  EXPECT_EQ(list(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(OutputFileTest, GoesAwayWithItsOwner) {
  put("a", "old");
  {
    OutputFiles files;
    ASSERT_TRUE(files.add(path("a"), error));
    EXPECT_EQ(list().size(), 2u);
  }
  EXPECT_EQ(list(), std::vector<std::string>{"a"});
  EXPECT_EQ(get("a"), "old");
}

TEST_F(OutputFileTest, RefusesWhatIsReadOrWritten) {
  put("in", "x");
  ASSERT_EQ(link(path("in").c_str(), path("hard").c_str()), 0);
  ASSERT_EQ(symlink("in", path("soft").c_str()), 0);
  OutputFiles files;
  ASSERT_TRUE(files.addInput(path("in"), error));
  for (llvm::StringRef name : {"in", "./in", "hard", "soft"}) {
    EXPECT_FALSE(files.add(path(name), error)) << name.str();
    EXPECT_NE(error.find("input"), std::string::npos) << error;
  }
  // Two outputs; one of them only may be written.
  ASSERT_TRUE(files.reserve(path("out"), error)) << error;
  ASSERT_TRUE(files.add(path("out"), error)) << error;
  EXPECT_FALSE(files.add(path("./out"), error));
  EXPECT_FALSE(files.reserve(path("out"), error));
  // What is read may be known later than what is written.
  put("late", "x");
  ASSERT_TRUE(files.add(path("late"), error)) << error;
  EXPECT_FALSE(files.addInput(path("./late"), error));
}

TEST_F(OutputFileTest, WritesThroughWhatIsNoFile) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_FALSE(isFileName(path("pipe")));
  EXPECT_FALSE(isFileName("/dev/fd/1"));
  EXPECT_TRUE(isFileName(path("none")));
  OutputFiles files;
  OutputFile *file = files.add(path("pipe"), error);
  ASSERT_TRUE(file && file->write("text", 4, error)) << error;
  EXPECT_FALSE(file->isFile());
  if (fork() == 0) {
    char bytes[8];
    int fd = open(path("pipe").c_str(), O_RDONLY);
    _exit(read(fd, bytes, sizeof bytes) == 4 ? 0 : 1);
  }
  EXPECT_TRUE(files.commit(error)) << error;
  int status = 1;
  wait(&status);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(list(), std::vector<std::string>{"pipe"});
}

// Some begin, some are done, some die, all at once, in one folder: what belongs to
// a living one is never taken for abandoned.
TEST_F(OutputFileTest, ManyProcessesInOneFolder) {
  constexpr int processes = 4, rounds = 60;
  for (int p = 0; p < processes; ++p) {
    if (fork() != 0)
      continue;
    for (int i = 0; i < rounds; ++i) {
      OutputFiles files;
      OutputFile *file =
          files.add(path(std::to_string(p * rounds + i)), error);
      if (i % 5 == 0) {
        if (fork() == 0) {
          OutputFiles others;
          others.add(path("other"), error);
          _exit(0); // without a word to anybody
        }
        wait(nullptr);
      }
      if (!file || !file->write("x", 1, error) || !files.commit(error))
        _exit(1);
    }
    _exit(0);
  }
  int status, failures = 0;
  while (wait(&status) > 0)
    failures += status != 0;
  EXPECT_EQ(failures, 0);
  removeAbandoned(path("any"));
  EXPECT_EQ(list().size(), size_t(processes * rounds));
}
