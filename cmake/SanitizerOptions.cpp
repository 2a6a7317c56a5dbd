//===- SanitizerOptions.cpp - Defaults of sanitized programs --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Part of every program that is built with -DHEADRACE_SANITIZE=ON. LLVM's
// allocators and containers mark memory in the code that is compiled here, but
// not in the libraries that come compiled, so marks are not looked at. A
// compiler process ends without taking down its context: that is no leak.
//
//===----------------------------------------------------------------------===//

extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_container_overflow=0:detect_leaks=0";
}
