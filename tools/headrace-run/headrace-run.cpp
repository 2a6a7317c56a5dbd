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
#include "Json.h"
#include "Model.h"
#include "Npz.h"
#include "Options.h"
#include "Profile.h"
#include "headrace/Support/OutputFile.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <sys/statvfs.h>
#include <unistd.h>

using namespace headrace;

static int fail(const std::string &message) {
  std::fprintf(stderr, "headrace-run: error: %s\n", message.c_str());
  return 1;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

static uint64_t nextRandom(uint64_t &state) { // splitmix64
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static bool fulfils(const Entry &entry,
                    const std::map<std::string, int64_t> &sizes) {
  return std::all_of(entry.conditions.begin(), entry.conditions.end(),
                     [&](const std::string &condition) {
                       int64_t value;
                       return evaluateSize(condition, sizes, value) &&
                              value >= 0;
                     });
}

/// Sizes of random inputs: as asked, else 16 or what the range allows, or the
/// nearest to that which a bounded search finds the program to allow.
static std::string chooseSizes(const Entry &entry, const Options &options,
                               std::map<std::string, int64_t> &sizes) {
  for (const Symbol &symbol : entry.symbols)
    sizes[symbol.name] =
        std::min(symbol.largest, std::max<int64_t>(symbol.least, 16));
  for (const auto &[name, value] : options.sizes) {
    if (!sizes.count(name)) {
      std::string error = "no size '" + name + "' in entry '" + entry.name +
                          "'; there " +
                          (entry.symbols.empty() ? "is none" : "are:");
      for (const Symbol &symbol : entry.symbols)
        error += " " + symbol.name;
      return error;
    }
    sizes[name] = value;
  }
  // What was asked for stays; the call itself says what is wrong with it.
  uint64_t state = 1;
  for (int64_t attempt = 0; attempt < 4096; ++attempt) {
    std::map<std::string, int64_t> tried = sizes;
    int64_t reach = attempt / 8;
    for (const Symbol &symbol : entry.symbols) {
      if (options.sizes.count(symbol.name))
        continue;
      int64_t step =
          int64_t(nextRandom(state) % uint64_t(2 * reach + 1)) - reach;
      tried[symbol.name] = std::clamp(sizes[symbol.name] + step, symbol.least,
                                      symbol.largest);
    }
    if (fulfils(entry, tried)) {
      sizes = tried;
      break;
    }
  }
  return "";
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
  for (const auto &[name, array] : arrays)
    if (std::none_of(entry.inputs.begin(), entry.inputs.end(),
                     [&](const Port &port) { return port.name == name; })) {
      error = "'" + options.inputs + "' has '" + name +
              "', but there is no such input; there are:";
      for (const Port &port : entry.inputs)
        error += " " + port.name;
      return false;
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

/// What is read, so that nothing of it is written.
static bool addInputs(const Options &options, const Model &model,
                      OutputFiles &files, std::string &error) {
  Json signature;
  std::string beside;
  if (Json::parse(model.signature, signature) &&
      !signature["weights_file"].string.empty())
    beside = options.model.substr(0, options.model.rfind('/') + 1) +
             signature["weights_file"].string;
  for (const std::string &path :
       {options.model, options.inputs, options.compare, options.oracle,
        options.weights, beside})
    if (!path.empty() && !files.addInput(path, error))
      return false;
  return true;
}

/// Takes the names of what is read and of what is to be written.
static bool reserveFiles(const Options &options, const Model &model,
                         OutputFiles &files, std::string &error) {
  if (!addInputs(options, model, files, error))
    return false;
  for (const std::string &path : {options.outputs, options.profileFile})
    if (!path.empty() && !files.reserve(path, error))
      return false;
  return true;
}

namespace {
/// The calls of one entry, from opening the artifact to closing it.
class Runner {
public:
  /// `inputs` stay where they are: the tensors of the calls point there.
  Runner(const Options &options, Model &model, const Entry &entry,
         std::vector<Array> &inputs)
      : options(options), model(model), entry(entry), inputs(inputs) {}

  /// From here on code of the artifact runs.
  bool open(std::string &error);
  /// Runs once for the results, then as often as asked for the times; closes.
  bool run(std::string &error);
  bool writeProfile(OutputFile &file, std::string &error) const {
    return profiler.write(file, model, entry, findSizes(entry, inputs), error);
  }

  /// What the first call gave.
  std::vector<Array> results;

private:
  void bindInputs();
  int call();
  void keepResults();
  int measure();

  const Options &options;
  Model &model;
  const Entry &entry;
  std::vector<Array> &inputs;

  Profiler profiler;
  double opened = 0; // seconds that it took
  const hr_table *table = nullptr;
  hr_context *context = nullptr;
  int number = -1; // of the entry
  std::vector<DLTensor> in, out;
};
} // namespace

bool Runner::open(std::string &error) {
  double start = now();
  if (!model.load(options.model, options.weights, error)) {
    struct statvfs system;
    if (statvfs(options.model.c_str(), &system) == 0 &&
        (system.f_flag & ST_NOEXEC))
      error += " (the file system of '" + options.model +
               "' is mounted noexec: put it elsewhere; TMPDIR names the folder "
               "for temporary files)";
    return false;
  }
  table = model.loaded.table;
  char message[1024];
  // Who asks for a number of workers wants to see that many.
  hr_context_options contextOptions = {sizeof contextOptions, nullptr,
                                       options.workers, profiler.getProfile(),
                                       options.workers != 0};
  if (table->create_context(model.loaded.model, &contextOptions, &context,
                            message, sizeof message)) {
    hr_artifact_close(&model.loaded);
    error = message;
    return false;
  }
  opened = now() - start;
  if (options.profile)
    profiler.setWorkers(table->workers(context));
  return true;
}

void Runner::bindInputs() {
  in.resize(inputs.size());
  out.resize(entry.outputs.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    in[i] = {inputs[i].bytes.data(),
             {kDLCPU, 0},
             int32_t(inputs[i].shape.size()),
             entry.inputs[i].getType(),
             inputs[i].shape.data(),
             nullptr,
             0};
}

int Runner::call() {
  std::fill(out.begin(), out.end(), DLTensor());
  return table->run(context, uint32_t(number), in.data(), uint32_t(in.size()),
                    out.data(), uint32_t(out.size()));
}

/// Copies the outputs of the call just done, which the next ones overwrite.
void Runner::keepResults() {
  for (size_t i = 0; i < out.size(); ++i) {
    Array array;
    array.type = entry.outputs[i].getNumpyType();
    array.shape.assign(out[i].shape, out[i].shape + out[i].ndim);
    auto *data = static_cast<char *>(out[i].data);
    array.bytes.assign(data, data + array.getNumElements() *
                                        (entry.outputs[i].getType().bits / 8));
    results.push_back(std::move(array));
  }
}

/// Calls as often as asked, and prints how long that took; stops at an error.
int Runner::measure() {
  int status = 0;
  std::vector<double> times;
  long repeat = options.profile && !options.repeat ? 20 : options.repeat;
  profiler.fit();
  for (long i = 0; i < repeat && !status; ++i) {
    double before = now();
    status = call();
    times.push_back(now() - before);
    if (options.profile && !status)
      profiler.addRun();
  }
  profiler.finish();
  if (!status && options.profile && options.profileFile.empty())
    profiler.printTable(entry);
  if (!status && options.repeat) {
    std::printf("opening and context: %.3f ms\n", opened * 1e3);
    printTimes(times, profiler.getWorkers());
  }
  return status;
}

bool Runner::run(std::string &error) {
  bindInputs();
  number = table->find_entry(model.loaded.model, entry.name.c_str());
  int status = call();
  if (!status) {
    keepResults();
    status = measure();
  }
  error = table->message(context);
  table->destroy_context(context);
  hr_artifact_close(&model.loaded);
  return !status;
}

/// `good` becomes whether all results are within the tolerance.
static bool compareResults(const Options &options, const Entry &entry,
                           const std::vector<Array> &results, bool &good,
                           std::string &error) {
  std::map<std::string, Array> expected, oracle;
  if (!readNpz(options.compare, expected, error))
    return false;
  if (!options.oracle.empty() && !readNpz(options.oracle, oracle, error))
    return false;
  good = true;
  for (size_t i = 0; i < results.size(); ++i) {
    auto it = expected.find(entry.outputs[i].name);
    if (it == expected.end()) {
      error = "no '" + entry.outputs[i].name + "' in '" + options.compare + "'";
      return false;
    }
    auto wide = oracle.find(entry.outputs[i].name);
    good &= compareOutput(entry.outputs[i], results[i], it->second,
                          wide == oracle.end() ? nullptr : &wide->second,
                          options.tolerance);
  }
  return true;
}

static bool writeResults(const Options &options, const Entry &entry,
                         std::vector<Array> results, OutputFiles &files,
                         std::string &error) {
  std::vector<std::pair<std::string, Array>> named;
  for (size_t i = 0; i < results.size(); ++i)
    named.emplace_back(entry.outputs[i].name, std::move(results[i]));
  OutputFile *file = files.add(options.outputs, error);
  return file && writeNpz(*file, named, error);
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

  // What cannot be written is said before anything is run; nothing is begun
  // that an interrupt would leave.
  OutputFiles files;
  if (!reserveFiles(options, model, files, error))
    return fail(error);
  const Entry *entry = model.find(options.entry, error);
  std::vector<Array> inputs;
  if (!entry || !collectInputs(*entry, options, inputs, error))
    return fail(error);

  // The file was checked just before.
  Runner runner(options, model, *entry, inputs);
  if (!runner.open(error) || !runner.run(error))
    return fail(error);
  if (!options.profileFile.empty()) {
    OutputFile *file = files.add(options.profileFile, error);
    if (!file || !runner.writeProfile(*file, error))
      return fail(error);
  }

  if (!options.repeat && !options.profile && options.outputs.empty() &&
      options.compare.empty())
    for (size_t i = 0; i < runner.results.size(); ++i)
      std::printf("%s: %s %s\n", entry->outputs[i].name.c_str(),
                  entry->outputs[i].dtype.c_str(),
                  showShape(runner.results[i].shape).c_str());
  bool good = true;
  if (!options.compare.empty() &&
      !compareResults(options, *entry, runner.results, good, error))
    return fail(error);
  if (!options.outputs.empty() &&
      !writeResults(options, *entry, std::move(runner.results), files, error))
    return fail(error);
  if (!files.commit(error))
    return fail(error);
  return good ? 0 : 1;
}

/// Errors of standard output are errors of the run; not those of a pipe whose
/// reader has gone, who is nobody to be told.
static int finishOutput(int status) {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return status;
  if (errno != EPIPE)
    fail(std::string("cannot write to standard output: ") +
         std::strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  // No file may get the number of a standard stream that was closed.
  for (int fd : {0, 1, 2})
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  std::signal(SIGXFSZ, SIG_IGN); // a file that grows too large is an error
  Options options;
  std::vector<std::string> errors = parseOptions(argc, argv, options);
  for (const std::string &error : errors)
    fail(error);
  if (!errors.empty())
    return 1;
  if (options.help)
    std::fputs(usage, stdout);
  else if (options.version)
    std::printf("headrace-run %s\nABI %d\n", HEADRACE_VERSION, HR_ABI_VERSION);
  else
    return finishOutput(run(options));
  return finishOutput(0);
}
