//===- Profile.cpp - Measured times of an artifact ------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Report/Profile.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace headrace;
using namespace headrace::report;

/// LLVM's reader recurses: nesting is bounded before it is called.
static bool isShallow(llvm::StringRef text) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      if (++depth > 32)
        return false;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return true;
}

static bool parseTimelines(const llvm::json::Object &root, Profile &profile) {
  const llvm::json::Array *timelines = root.getArray("timelines");
  if (!timelines)
    return false;
  for (const llvm::json::Value &timeline : *timelines) {
    const llvm::json::Array *records = timeline.getAsArray();
    if (!records)
      return false;
    auto &list = profile.timelines.emplace_back();
    for (const llvm::json::Value &value : *records) {
      const llvm::json::Array *row = value.getAsArray();
      if (!row || row->size() != 4)
        return false;
      int64_t numbers[4];
      for (int i = 0; i < 4; ++i) {
        std::optional<int64_t> number = (*row)[i].getAsInteger();
        if (!number || *number < 0)
          return false;
        numbers[i] = *number;
      }
      list.push_back({numbers[0], numbers[1], numbers[2], numbers[3]});
    }
  }
  return true;
}

static bool parse(const llvm::json::Object &root, Profile &profile) {
  auto text = [&](llvm::StringRef key, std::string &to) {
    std::optional<llvm::StringRef> value = root.getString(key);
    if (value)
      to = value->str();
    return value.has_value();
  };
  auto number = [&](llvm::StringRef key, int64_t &to) {
    std::optional<int64_t> value = root.getInteger(key);
    to = value.value_or(0);
    return value && *value >= 0;
  };
  if (!text("schedule", profile.schedule) || !text("entry", profile.entry) ||
      !text("machine", profile.machine) ||
      !number("workers", profile.workers) || !number("runs", profile.runs) ||
      !number("median_ns", profile.medianNs) ||
      !number("least_ns", profile.leastNs) || !number("p90_ns", profile.p90Ns))
    return false;
  const llvm::json::Object *sizes = root.getObject("sizes");
  if (!sizes)
    return false;
  for (const auto &[name, value] : *sizes) {
    std::optional<int64_t> size = value.getAsInteger();
    if (!size)
      return false;
    profile.sizes[llvm::StringRef(name)] = *size;
  }
  return parseTimelines(root, profile);
}

llvm::Expected<Profile> report::readProfile(llvm::StringRef path) {
  auto fail = [&](const llvm::Twine &why) {
    return llvm::createStringError("cannot read profile '" + path +
                                   "': " + why);
  };
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return fail(buffer.getError().message());
  if (!isShallow((*buffer)->getBuffer()))
    return fail("nested too deeply");
  llvm::Expected<llvm::json::Value> json =
      llvm::json::parse((*buffer)->getBuffer());
  if (!json)
    return fail(llvm::toString(json.takeError()));
  const llvm::json::Object *root = json->getAsObject();
  if (!root || root->getString("format") != "headrace.profile")
    return fail("not a profile that headrace-run wrote");
  if (root->getInteger("version") != 1)
    return fail("expected version 1 but got " +
                llvm::Twine(root->getInteger("version").value_or(0)));
  Profile profile;
  profile.path = path.str();
  if (!parse(*root, profile))
    return fail("not as headrace-run writes it");
  return profile;
}
