//===- Options.cpp - The command line of headrace-run ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Options.h"
#include <algorithm>
#include <cstdlib>
#include <set>

using namespace headrace;

const char headrace::usage[] =
    "usage: headrace-run MODEL.so [options]\n"
    "\n"
    "  --inputs FILE.npz      inputs by name (without it: random inputs)\n"
    "  --outputs FILE.npz     where to write the outputs\n"
    "  --compare FILE.npz     compare the outputs with these; status 1 if they\n"
    "                         differ by more than the tolerance\n"
    "  --oracle FILE.npz      the same outputs in f64: errors against these may be\n"
    "                         twice what those of --compare are, and 4 ulp of the\n"
    "                         largest magnitude\n"
    "  --tolerance X          of the largest expected magnitude (default 1e-5,\n"
    "                         2e-2 for 16-bit floats; integers must be equal)\n"
    "  --entry NAME           which entry to run, if there are several\n"
    "  --size SYMBOL=N        a size of random inputs\n"
    "  --seed N               of random inputs (default 0)\n"
    "  --repeat N             run N times and print the times\n"
    "  --profile[=FILE.json]  time every command, as medians of the runs (20 if\n"
    "                         --repeat says nothing): print a table of stages,\n"
    "                         or write a profile for hrcc --profile-use=, or\n"
    "                         the timelines for Perfetto (FILE.trace.json)\n"
    "  --workers N            run on N workers, or as many as there are; without\n"
    "                         it, on as many as are predicted to be fastest\n"
    "  --weights FILE         where the weights are, if not with the code\n"
    "  --check                check code and weights, run nothing\n"
    "  --describe             print the signature, run nothing\n"
    "  --version\n"
    "  --help\n"
    "\n"
    "Exit status 1 is an error, or outputs that differ; messages go to standard\n"
    "error, what was asked for to standard output.\n"
    "\n"
    "bfloat16 tensors are kept in .npz files as the bits of each element,\n"
    "dtype uint16.\n";

/// Options with a value; those without one.
static const char *const valued[] = {
    "--inputs",    "--outputs", "--compare", "--oracle", "--entry",
    "--tolerance", "--size",    "--seed",    "--repeat", "--workers",
    "--weights"};
static const char *const plain[] = {"--check", "--describe", "--help",
                                    "--version"};

template <size_t n>
static bool contains(const char *const (&names)[n], const std::string &name) {
  return std::find(names, names + n, name) != names + n;
}

static bool parseCount(const std::string &text, long least, long &value) {
  char *end;
  value = std::strtol(text.c_str(), &end, 10);
  return !text.empty() && *end == 0 && value >= least;
}

/// How many letters have to change to make `b` of `a`.
static size_t getDistance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1,
                         diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

static std::string describeUnknown(const std::string &flag,
                                   const std::string &name) {
  std::string nearest;
  size_t least = std::max<size_t>(2, name.size() / 3) + 1;
  auto consider = [&](const std::string &known) {
    size_t distance = getDistance(name, known);
    if (distance >= least)
      return;
    least = distance;
    nearest = known;
  };
  std::for_each(std::begin(valued), std::end(valued), consider);
  std::for_each(std::begin(plain), std::end(plain), consider);
  consider("--profile");
  return "unknown option '" + flag + "'" +
         (nearest.empty() ? std::string(" (--help lists them)")
                          : "; did you mean '" + nearest + "'?");
}

/// Takes one option with its value; returns what is wrong with it, or nothing.
static std::string takeValue(const std::string &name, const std::string &value,
                             Options &options) {
  long number = 0;
  if (name == "--inputs") {
    options.inputs = value;
  } else if (name == "--outputs") {
    options.outputs = value;
  } else if (name == "--compare") {
    options.compare = value;
  } else if (name == "--oracle") {
    options.oracle = value;
  } else if (name == "--entry") {
    options.entry = value;
  } else if (name == "--weights") {
    options.weights = value;
  } else if (name == "--profile") {
    size_t dot = value.rfind('.');
    if (dot == std::string::npos || value.substr(dot) != ".json")
      return "expected a file named *.json for --profile but got '" + value +
             "'";
    options.profile = true;
    options.profileFile = value;
  } else if (name == "--tolerance") {
    char *end;
    options.tolerance = std::strtod(value.c_str(), &end);
    if (value.empty() || *end || !(options.tolerance >= 0))
      return "expected a number for --tolerance but got '" + value + "'";
  } else if (name == "--size") {
    size_t at = value.find('=');
    if (at == std::string::npos || !parseCount(value.substr(at + 1), 0, number))
      return "expected SYMBOL=N for --size but got '" + value + "'";
    if (!options.sizes.emplace(value.substr(0, at), number).second)
      return "'--size " + value.substr(0, at) + "=' is given twice";
  } else {
    if (!parseCount(value, name == "--seed" ? 0 : 1, number))
      return "expected a number for " + name + " but got '" + value + "'";
    if (name == "--seed")
      options.seed = uint64_t(number);
    else if (name == "--repeat")
      options.repeat = number;
    else
      options.workers = uint32_t(number);
  }
  return "";
}

std::vector<std::string> headrace::parseOptions(int argc, char **argv,
                                                Options &options) {
  std::vector<std::string> errors;
  std::set<std::string> seen;
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i], value;
    if (flag.compare(0, 2, "--") != 0) {
      if (!options.model.empty())
        errors.push_back("more than one model: '" + options.model + "' and '" +
                         flag + "'");
      options.model = flag;
      continue;
    }
    std::string name = flag.substr(0, flag.find('='));
    bool hasValue = name.size() < flag.size();
    bool isPlain = !hasValue && (contains(plain, name) || name == "--profile");
    if (!isPlain && !contains(valued, name) &&
        !(hasValue && name == "--profile")) {
      errors.push_back(hasValue && contains(plain, name)
                           ? "'" + name + "' takes no value"
                           : describeUnknown(flag, name));
      continue;
    }
    // What is said twice is meant once, or one of the two is meant otherwise.
    if (!seen.insert(name).second && name != "--size")
      errors.push_back("'" + name + "' is given twice");
    if (isPlain) {
      bool &set = name == "--check"      ? options.check
                  : name == "--describe" ? options.describe
                  : name == "--help"     ? options.help
                  : name == "--version"  ? options.version
                                         : options.profile;
      set = true;
      continue;
    }
    if (hasValue) {
      value = flag.substr(name.size() + 1);
    } else {
      if (++i == argc) {
        errors.push_back("no value for '" + name + "'");
        break;
      }
      value = argv[i];
    }
    std::string error = takeValue(name, value, options);
    if (!error.empty())
      errors.push_back(error);
  }
  if (options.help || options.version)
    return errors;
  if (options.model.empty())
    errors.push_back("no model given (see --help)");
  auto needs = [&](const char *name, const char *other) {
    if (seen.count(name) && !seen.count(other))
      errors.push_back(std::string("'") + name + "' goes with " + other +
                       " only");
  };
  needs("--oracle", "--compare");
  needs("--tolerance", "--compare");
  for (const char *name : {"--size", "--seed"})
    if (seen.count(name) && seen.count("--inputs"))
      errors.push_back(std::string("'") + name +
                       "' is about random inputs: it does not go with "
                       "--inputs");
  return errors;
}
