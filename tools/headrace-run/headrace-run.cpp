//===- headrace-run.cpp - Runs artifacts ----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs one entry of an artifact on inputs from a file or random ones, times it,
// writes or compares the outputs. Uses the artifact's C interface, and nothing
// of the compiler.
//
//===----------------------------------------------------------------------===//
#include "Model.h"
#include "Profile.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

using namespace headrace;

static const char usage[] =
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
    "  --help\n"
    "\n"
    "bfloat16 tensors are kept in .npz files as the bits of each element,\n"
    "dtype uint16.\n";

namespace {
struct Options {
  std::string model, inputs, outputs, compare, oracle, entry, weights,
      profileFile;
  std::map<std::string, int64_t> sizes;
  double tolerance = -1;
  uint64_t seed = 0;
  long repeat = 0;
  uint32_t workers = 0;
  bool check = false, describe = false, profile = false;
};
} // namespace

static int fail(const std::string &message) {
  std::fprintf(stderr, "headrace-run: error: %s\n", message.c_str());
  return 1;
}

//===----------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------===//

static bool parseCount(const std::string &text, long least, long &value) {
  char *end;
  value = std::strtol(text.c_str(), &end, 10);
  return !text.empty() && *end == 0 && value >= least;
}

/// Returns an error, or nothing.
static std::string parseOptions(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i], value;
    if (flag.compare(0, 2, "--") != 0) {
      if (!options.model.empty())
        return "more than one model: '" + options.model + "' and '" + flag +
               "'";
      options.model = flag;
      continue;
    }
    if (flag == "--check" || flag == "--describe") {
      (flag == "--check" ? options.check : options.describe) = true;
      continue;
    }
    if (flag == "--profile") {
      options.profile = true;
      continue;
    }
    std::string name = flag;
    size_t equals = flag.find('=');
    if (equals != std::string::npos) {
      name = flag.substr(0, equals);
      value = flag.substr(equals + 1);
    }
    static const char *const known[] = {
        "--inputs",    "--outputs", "--compare", "--oracle", "--entry",
        "--tolerance", "--size",    "--seed",    "--repeat",
        "--workers",   "--weights", "--profile"};
    if (std::none_of(std::begin(known), std::end(known),
                     [&](const char *k) { return name == k; }))
      return "unknown option '" + flag + "'";
    if (equals == std::string::npos) {
      if (++i == argc)
        return "no value for '" + name + "'";
      value = argv[i];
    }
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
      if (at == std::string::npos ||
          !parseCount(value.substr(at + 1), 0, number))
        return "expected SYMBOL=N for --size but got '" + value + "'";
      options.sizes[value.substr(0, at)] = number;
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
  }
  return options.model.empty() ? "no model given (see --help)" : "";
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

/// Sizes of random inputs: as asked, else 16 or what the range allows.
static std::string chooseSizes(const Entry &entry, const Options &options,
                               std::map<std::string, int64_t> &sizes) {
  for (const Symbol &symbol : entry.symbols)
    sizes[symbol.name] =
        std::min(symbol.largest, std::max<int64_t>(symbol.least, 16));
  for (const auto &[name, value] : options.sizes) {
    if (!sizes.count(name))
      return "no size '" + name + "' in entry '" + entry.name + "'";
    sizes[name] = value;
  }
  return "";
}

static uint64_t nextRandom(uint64_t &state) { // splitmix64
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/// Rounds to the nearest bfloat16.
static uint16_t toBFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t toHalf(float value) {
  _Float16 half = _Float16(value);
  uint16_t bits;
  std::memcpy(&bits, &half, 2);
  return bits;
}

/// Floats are normally distributed; integers are 0 or 1, which fits tables of
/// any size.
static bool makeRandom(const Port &port,
                       const std::map<std::string, int64_t> &sizes,
                       uint64_t &state, Array &array, std::string &error) {
  array.type = port.getNumpyType();
  int64_t count = 1;
  for (const std::string &text : port.shape) {
    int64_t size;
    if (!evaluateSize(text, sizes, size) || size < 0 ||
        __builtin_mul_overflow(count, size, &count)) {
      error = "input '" + port.name + "': size '" + text +
              "' cannot be computed";
      return false;
    }
    array.shape.push_back(size);
  }
  DLDataType type = port.getType();
  size_t width = type.bits / 8;
  if (count > int64_t(1) << 40) {
    error = "input '" + port.name + "' is too large";
    return false;
  }
  array.bytes.resize(size_t(count) * width);
  for (int64_t i = 0; i < count; ++i) {
    char *to = array.bytes.data() + size_t(i) * width;
    if (type.code == kDLFloat || type.code == kDLBfloat) {
      double u = (double(nextRandom(state) >> 11) + 0.5) * 0x1p-53;
      double v = (double(nextRandom(state) >> 11) + 0.5) * 0x1p-53;
      double x = std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
      float narrow = float(x);
      uint16_t bits =
          type.code == kDLBfloat ? toBFloat(narrow) : toHalf(narrow);
      std::memcpy(to, width == 8   ? static_cast<void *>(&x)
                      : width == 4 ? static_cast<void *>(&narrow)
                                   : static_cast<void *>(&bits),
                  width);
    } else {
      uint64_t bit = nextRandom(state) >> 63;
      std::memcpy(to, &bit, width);
    }
  }
  return true;
}

static std::string showShape(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

static bool collectInputs(const Entry &entry, const Options &options,
                          std::vector<Array> &inputs, std::string &error) {
  if (options.inputs.empty()) {
    std::map<std::string, int64_t> sizes;
    error = chooseSizes(entry, options, sizes);
    if (!error.empty())
      return false;
    uint64_t state = options.seed;
    for (const Port &port : entry.inputs)
      if (!makeRandom(port, sizes, state, inputs.emplace_back(), error))
        return false;
    return true;
  }
  std::map<std::string, Array> arrays;
  if (!readNpz(options.inputs, arrays, error))
    return false;
  for (const Port &port : entry.inputs) {
    auto it = arrays.find(port.name);
    if (it == arrays.end()) {
      error = "no input '" + port.name + "' in '" + options.inputs +
              "'; there are:";
      for (const auto &[name, array] : arrays)
        error += " " + name;
      return false;
    }
    Array array = it->second;
    std::string expected = port.getNumpyType();
    if (port.dtype == "bfloat16" && array.type == "V2")
      array.type = expected;
    if (array.type != expected) {
      error = "input '" + port.name + "': expected dtype " + port.dtype + " (" +
              expected + ") but got " + array.type;
      return false;
    }
    inputs.push_back(std::move(array));
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Comparison
//===----------------------------------------------------------------------===//

static double toDouble(const Port &port, const char *at) {
  DLDataType type = port.getType();
  if (type.code == kDLBfloat) {
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    uint32_t wide = uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
  }
  if (type.bits == 16) {
    _Float16 value;
    std::memcpy(&value, at, 2);
    return double(float(value));
  }
  if (type.bits == 32) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
  double value;
  std::memcpy(&value, at, 8);
  return value;
}

/// Prints how `got` differs from `expected`; returns whether it is within the
/// tolerance.
/// The contract: our largest error against f64 is at most twice that of the
/// same program in its own types, and 4 ulp of the largest magnitude.
static bool compareErrors(const Port &port, const Array &got,
                          const Array &expected, const Array &oracle) {
  DLDataType type = port.getType();
  size_t width = type.bits / 8;
  int bits = type.code == kDLBfloat ? 8 : width == 2   ? 11
                                      : width == 4 ? 24
                                                   : 53;
  double ours = 0, base = 0, scale = 0;
  int64_t misplaced = 0;
  for (int64_t i = 0, count = got.getNumElements(); i < count; ++i) {
    double a = toDouble(port, got.bytes.data() + size_t(i) * width);
    double b = toDouble(port, expected.bytes.data() + size_t(i) * width);
    double c;
    std::memcpy(&c, oracle.bytes.data() + size_t(i) * sizeof c, sizeof c);
    bool alike = b == c || (std::isnan(b) && std::isnan(c));
    if (!std::isfinite(b) || !std::isfinite(c)) {
      // Where the oracle is finite, the type overflowed: either is right.
      misplaced += alike && !(a == b || (std::isnan(a) && std::isnan(b)));
      continue;
    }
    if (!std::isfinite(a)) {
      ++misplaced;
      continue;
    }
    scale = std::max(scale, std::fabs(c));
    ours = std::max(ours, std::fabs(a - c));
    base = std::max(base, std::fabs(b - c));
  }
  double ulp = scale > 0 ? std::ldexp(1.0, std::ilogb(scale) - bits + 1) : 0;
  double bound = 2 * base + 4 * ulp;
  std::printf("%s: largest error against f64 %.3g, of the program as it is "
              "%.3g; at most %.3g",
              port.name.c_str(), ours, base, bound);
  if (misplaced)
    std::printf(", %lld NaN or infinity misplaced",
                static_cast<long long>(misplaced));
  bool good = !misplaced && ours <= bound;
  std::printf(good ? "\n" : ": differs\n");
  return good;
}

static bool compareOutput(const Port &port, const Array &got,
                          const Array &expected, const Array *oracle,
                          double tolerance) {
  if (got.shape != expected.shape ||
      got.bytes.size() != expected.bytes.size()) {
    std::printf("%s: expected %s of shape %s but got %s\n", port.name.c_str(),
                expected.type.c_str(), showShape(expected.shape).c_str(),
                showShape(got.shape).c_str());
    return false;
  }
  DLDataType type = port.getType();
  size_t width = type.bits / 8;
  int64_t count = got.getNumElements();
  if (type.code != kDLFloat && type.code != kDLBfloat) {
    int64_t different = 0;
    for (int64_t i = 0; i < count; ++i)
      different += std::memcmp(got.bytes.data() + size_t(i) * width,
                               expected.bytes.data() + size_t(i) * width,
                               width) != 0;
    std::printf("%s: %lld of %lld elements differ%s\n", port.name.c_str(),
                static_cast<long long>(different),
                static_cast<long long>(count), different ? ": differs" : "");
    return different == 0;
  }
  if (oracle && oracle->bytes.size() == size_t(count) * sizeof(double))
    return compareErrors(port, got, expected, *oracle);
  if (tolerance < 0)
    tolerance = width == 2 ? 2e-2 : 1e-5;
  double largest = 0, scale = 0;
  int64_t misplaced = 0; // NaN and infinity where the other has none
  for (int64_t i = 0; i < count; ++i) {
    double a = toDouble(port, got.bytes.data() + size_t(i) * width);
    double b = toDouble(port, expected.bytes.data() + size_t(i) * width);
    if (!std::isfinite(a) || !std::isfinite(b)) {
      misplaced += !(a == b || (std::isnan(a) && std::isnan(b)));
      continue;
    }
    scale = std::max(scale, std::fabs(b));
    largest = std::max(largest, std::fabs(a - b));
  }
  std::printf("%s: largest difference %.3g (%.3g of the largest magnitude, "
              "%.6g)",
              port.name.c_str(), largest, scale ? largest / scale : 0, scale);
  if (misplaced)
    std::printf(", %lld NaN or infinity misplaced",
                static_cast<long long>(misplaced));
  bool good = !misplaced && largest <= tolerance * scale;
  std::printf(good ? "\n" : ": differs\n");
  return good;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

static double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

static void printTimes(std::vector<double> &seconds, uint32_t workers) {
  std::sort(seconds.begin(), seconds.end());
  size_t n = seconds.size();
  auto ms = [&](double part) {
    return 1e3 * seconds[std::min(n - 1, size_t(part * double(n)))];
  };
  std::printf("%zu runs on %u worker%s: min %.3f ms, median %.3f ms, p90 %.3f "
              "ms\n",
              n, workers, workers == 1 ? "" : "s", ms(0), ms(0.5), ms(0.9));
}

static int run(const Options &options) {
  Model model;
  std::string error;
  if (!model.check(options.model, options.check, options.weights, error))
    return fail(error);
  if (options.describe)
    std::printf("%s\n", model.signature.c_str());
  if (options.check)
    std::printf("%s: code, signature and weights are as hrcc wrote them\n",
                options.model.c_str());
  if (options.check || options.describe)
    return 0;

  const Entry *entry = model.find(options.entry, error);
  std::vector<Array> inputs;
  if (!entry || !collectInputs(*entry, options, inputs, error))
    return fail(error);

  // 1. Open. The file was checked just before: from here on its code runs.
  double start = now();
  if (!model.load(options.model, options.weights, error))
    return fail(error);
  const hr_table *table = model.loaded.table;
  hr_model *handle = model.loaded.model;
  char message[1024];
  Profiler profiler;
  // Who asks for a number of workers wants to see that many.
  hr_context_options contextOptions = {sizeof contextOptions, nullptr,
                                       options.workers, profiler.getProfile(),
                                       options.workers != 0};
  hr_context *context = nullptr;
  if (table->create_context(handle, &contextOptions, &context, message,
                            sizeof message)) {
    hr_artifact_close(&model.loaded);
    return fail(message);
  }
  double opened = now() - start;
  if (options.profile)
    profiler.setWorkers(table->workers(context));

  // 2. Run.
  std::vector<DLTensor> in(inputs.size()), out(entry->outputs.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    in[i] = {inputs[i].bytes.data(),
             {kDLCPU, 0},
             int32_t(inputs[i].shape.size()),
             entry->inputs[i].getType(),
             inputs[i].shape.data(),
             nullptr,
             0};
  int number = table->find_entry(handle, entry->name.c_str());
  auto runOnce = [&] {
    std::fill(out.begin(), out.end(), DLTensor());
    return table->run(context, uint32_t(number), in.data(), uint32_t(in.size()),
                      out.data(), uint32_t(out.size()));
  };
  int status = runOnce();
  std::vector<Array> results;
  if (!status) {
    for (size_t i = 0; i < out.size(); ++i) {
      Array array;
      array.type = entry->outputs[i].getNumpyType();
      array.shape.assign(out[i].shape, out[i].shape + out[i].ndim);
      auto *data = static_cast<char *>(out[i].data);
      array.bytes.assign(data, data + array.getNumElements() *
                                          (entry->outputs[i].getType().bits / 8));
      results.push_back(std::move(array));
    }
    std::vector<double> times;
    long repeat =
        options.profile && !options.repeat ? 20 : options.repeat;
    profiler.fit();
    for (long i = 0; i < repeat && !status; ++i) {
      double before = now();
      status = runOnce();
      times.push_back(now() - before);
      if (options.profile && !status)
        profiler.addRun();
    }
    profiler.finish();
    if (!status && options.profile && options.profileFile.empty())
      profiler.printTable(*entry);
    if (!status && options.repeat) {
      std::printf("opening and context: %.3f ms\n", opened * 1e3);
      printTimes(times, profiler.getWorkers());
    }
  }
  error = table->message(context);
  table->destroy_context(context);
  hr_artifact_close(&model.loaded);
  if (status)
    return fail(error);
  if (!options.profileFile.empty() &&
      !profiler.write(options.profileFile, model, *entry,
                      findSizes(*entry, inputs), error))
    return fail(error);

  // 3. Outputs.
  if (!options.repeat && !options.profile && options.outputs.empty() && options.compare.empty())
    for (size_t i = 0; i < results.size(); ++i)
      std::printf("%s: %s %s\n", entry->outputs[i].name.c_str(),
                  entry->outputs[i].dtype.c_str(),
                  showShape(results[i].shape).c_str());
  bool good = true;
  if (!options.compare.empty()) {
    std::map<std::string, Array> expected, oracle;
    if (!readNpz(options.compare, expected, error))
      return fail(error);
    if (!options.oracle.empty() && !readNpz(options.oracle, oracle, error))
      return fail(error);
    for (size_t i = 0; i < results.size(); ++i) {
      auto it = expected.find(entry->outputs[i].name);
      if (it == expected.end())
        return fail("no '" + entry->outputs[i].name + "' in '" +
                    options.compare + "'");
      auto wide = oracle.find(entry->outputs[i].name);
      good &= compareOutput(entry->outputs[i], results[i], it->second,
                            wide == oracle.end() ? nullptr : &wide->second,
                            options.tolerance);
    }
  }
  if (!options.outputs.empty()) {
    std::vector<std::pair<std::string, Array>> named;
    for (size_t i = 0; i < results.size(); ++i)
      named.emplace_back(entry->outputs[i].name, std::move(results[i]));
    if (!writeNpz(options.outputs, named, error))
      return fail(error);
  }
  return good ? 0 : 1;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--help") == 0) {
      std::fputs(usage, stdout);
      return 0;
    }
  }
  Options options;
  std::string error = parseOptions(argc, argv, options);
  if (!error.empty())
    return fail(error);
  return run(options);
}
