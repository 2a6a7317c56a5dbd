//===- OutputStream.cpp - Output files as LLVM's streams ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/OutputStream.h"

using namespace mlir;
using namespace headrace;

LogicalResult headrace::writeTo(
    OutputFile &file,
    llvm::function_ref<LogicalResult(raw_ostream &, std::string &)> write,
    std::string &error) {
  llvm::raw_fd_ostream os(file.getDescriptor(), /*shouldClose=*/false);
  LogicalResult result = write(os, error);
  os.flush();
  std::error_code ec = os.error();
  os.clear_error(); // else the stream's end is the program's
  if (failed(result))
    return failure();
  if (!ec)
    return success();
  error = "cannot write '" + file.getPath() + "': " + ec.message();
  return failure();
}

LogicalResult headrace::finishStandardOutput(std::string &error) {
  llvm::outs().flush();
  std::error_code ec = llvm::outs().error();
  llvm::outs().clear_error();
  error.clear();
  if (!ec)
    return success();
  if (ec != std::errc::broken_pipe)
    error = "cannot write to standard output: " + ec.message();
  return failure();
}
