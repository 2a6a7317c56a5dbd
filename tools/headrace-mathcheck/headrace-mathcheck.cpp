//===- headrace-mathcheck.cpp - How exact is the math library? ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles each function of the math library in memory, as a loop over vectors,
// runs it on all 2^32 values of f32 (--exhaustive) or on samples, and compares
// with the C library one precision up: f64 for f32, long double for f64. An
// error is counted in units of the last place of the exact result. NaN,
// infinity and the sign of zero must be right.
//
// Prints a line per function: worst error, where, how many results were not the
// nearest, and nanoseconds per element. Ends with status 1 if a limit is
// exceeded.
//
//===----------------------------------------------------------------------===//

#include "headrace/Target/MathLibrary.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

using namespace mlir;

static llvm::cl::list<std::string>
    functionNames(llvm::cl::Positional, llvm::cl::desc("<function>..."));
static llvm::cl::opt<std::string>
    typeName("type", llvm::cl::desc("f32 or f64"), llvm::cl::init("f32"));
static llvm::cl::opt<bool>
    exhaustive("exhaustive", llvm::cl::desc("all 2^32 values of f32"));
static llvm::cl::opt<int64_t>
    samples("samples", llvm::cl::desc("values per function"),
            llvm::cl::init(1 << 20));
static llvm::cl::opt<int64_t> seed("seed", llvm::cl::init(1));
static llvm::cl::opt<int> width("width", llvm::cl::desc("vector lanes"),
                                llvm::cl::init(16));
static llvm::cl::opt<int> threadCount("j", llvm::cl::desc("threads"),
                                      llvm::cl::init(0));
static llvm::cl::opt<bool>
    useFma("fma", llvm::cl::desc("use fused multiply-add"),
           llvm::cl::init(true));
static llvm::cl::opt<bool>
    baseline("baseline", llvm::cl::desc("compile for the family's first CPU"));
static llvm::cl::opt<double>
    limit("limit", llvm::cl::desc("largest error allowed, in ulp"),
          llvm::cl::init(1.0));
static llvm::cl::opt<bool>
    bits("bits", llvm::cl::desc("print a digest of all results and nothing "
                                "else: equal for equal bits"));
static llvm::cl::opt<bool> list("list", llvm::cl::desc("names of functions"));

namespace {
struct Function {
  const char *name;
  int operands;
  double (*f64)(double, double);
  long double (*wide)(long double, long double);
  /// Where its argument is worth a denser look (f64 has too many values).
  double lo, hi;
};
} // namespace

#define UNARY(name, c, lo, hi)                                                 \
  {name, 1, [](double x, double) { return std::c(x); },                        \
   [](long double x, long double) { return std::c(x); }, lo, hi}

static const Function functions[] = {
    UNARY("exp", exp, -745, 710),
    UNARY("exp2", exp2, -1075, 1024),
    UNARY("expm1", expm1, -40, 710),
    UNARY("log", log, 0, 4),
    UNARY("log1p", log1p, -1, 4),
    UNARY("log2", log2, 0, 4),
    UNARY("log10", log10, 0, 4),
    UNARY("sinh", sinh, -20, 20),
    UNARY("cosh", cosh, -20, 20),
    UNARY("tanh", tanh, -20, 20),
    UNARY("asinh", asinh, -10, 10),
    UNARY("acosh", acosh, 1, 10),
    UNARY("atanh", atanh, -1, 1),
    UNARY("sin", sin, -100, 100),
    UNARY("cos", cos, -100, 100),
    UNARY("tan", tan, -100, 100),
    UNARY("asin", asin, -1, 1),
    UNARY("acos", acos, -1, 1),
    UNARY("atan", atan, -10, 10),
    UNARY("erf", erf, -6, 6),
    UNARY("erfc", erfc, -6, 27),
    UNARY("cbrt", cbrt, -10, 10),
    {"rsqrt", 1, [](double x, double) { return 1 / std::sqrt(x); },
     [](long double x, long double) { return 1 / std::sqrt(x); }, 0, 4},
    {"powf", 2, [](double x, double y) { return std::pow(x, y); },
     [](long double x, long double y) { return std::pow(x, y); }, -20, 20},
    {"atan2", 2, [](double y, double x) { return std::atan2(y, x); },
     [](long double y, long double x) { return std::atan2(y, x); }, -10, 10},
};

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// `out[i] = function(a[i], b[i])` as the descriptors of memref<?xT> unpack.
using Kernel = void (*)(const void *, const void *, int64_t, int64_t, int64_t,
                        const void *, const void *, int64_t, int64_t, int64_t,
                        void *, void *, int64_t, int64_t, int64_t);

static std::string getModule(const Function &function) {
  std::string type = typeName;
  std::string vector =
      width == 1 ? type : ("vector<" + llvm::Twine(width) + "x" + type + ">")
                              .str();
  std::string memref = "memref<?x" + type + ">";
  auto load = [&](llvm::StringRef from) {
    return width == 1 ? ("memref.load " + from + "[%i] : " + memref).str()
                      : ("vector.load " + from + "[%i] : " + memref + ", " +
                         vector)
                            .str();
  };
  std::string text = "func.func @kernel(%a: " + memref + ", %b: " + memref +
                     ", %o: " + memref + ") {\n"
                     "  %c0 = arith.constant 0 : index\n"
                     "  %w = arith.constant " + std::to_string(width) +
                     " : index\n"
                     "  %n = memref.dim %a, %c0 : " + memref + "\n"
                     "  scf.for %i = %c0 to %n step %w {\n"
                     "    %x = " + load("%a") + "\n";
  if (function.operands == 2)
    text += "    %y = " + load("%b") + "\n";
  text += std::string("    %r = math.") + function.name + " %x" +
          (function.operands == 2 ? ", %y" : "") + " : " + vector + "\n";
  text += width == 1 ? "    memref.store %r, %o[%i] : " + memref + "\n"
                     : "    vector.store %r, %o[%i] : " + memref + ", " +
                           vector + "\n";
  return text + "  }\n  return\n}\n";
}

static void optimize(llvm::Module &module, llvm::TargetMachine *machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

/// As the compiler decides it for this CPU.
static bool hasScalef() {
  return !baseline && llvm::sys::getHostCPUFeatures().lookup("avx512f");
}

static std::unique_ptr<llvm::orc::LLJIT> compile(const Function &function) {
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(getModule(function), &context);
  if (!module)
    return nullptr;
  PassManager pm(&context);
  std::string pipeline =
      std::string("math-expand-functions{fma=") + (useFma ? "true" : "false") +
      (hasScalef() ? " scalef=true" : "") + "},canonicalize,cse,convert-vector-to-scf,convert-scf-to-cf,"
      "convert-vector-to-llvm,convert-math-to-llvm,expand-strided-metadata,"
      "finalize-memref-to-llvm,convert-arith-to-llvm,convert-index-to-llvm,"
      "convert-func-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts";
  if (failed(parsePassPipeline(pipeline, pm)) || failed(pm.run(*module)))
    return nullptr;

  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(*module, *llvmContext);
  if (!llvmModule)
    return nullptr;
  llvm::ExitOnError exitOnError("headrace-mathcheck: ");
  llvm::orc::JITTargetMachineBuilder machine =
      exitOnError(llvm::orc::JITTargetMachineBuilder::detectHost());
  if (baseline) {
    machine.getFeatures() = llvm::SubtargetFeatures();
    machine.setCPU("");
  }
  machine.setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  auto targetMachine = exitOnError(machine.createTargetMachine());
  // Without this LLVM splits 512-bit vectors on CPUs that once slowed down.
  for (llvm::Function &f : *llvmModule) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("prefer-vector-width", "512");
    f.addFnAttr("target-cpu", targetMachine->getTargetCPU());
    f.addFnAttr("target-features", targetMachine->getTargetFeatureString());
  }
  optimize(*llvmModule, targetMachine.get());
  auto jit = exitOnError(llvm::orc::LLJITBuilder()
                             .setJITTargetMachineBuilder(machine)
                             .create());
  exitOnError(jit->addIRModule(llvm::orc::ThreadSafeModule(
      std::move(llvmModule), std::move(llvmContext))));
  return jit;
}

//===----------------------------------------------------------------------===//
// Comparing
//===----------------------------------------------------------------------===//

namespace {
template <typename T> struct Format;
template <> struct Format<float> {
  using Wide = double;
  static constexpr int digits = 24, least = -149, most = 128;
};
template <> struct Format<double> {
  using Wide = long double;
  static constexpr int digits = 53, least = -1074, most = 1024;
};

struct Report {
  double worst = 0;
  double worstX = 0, worstY = 0, worstGot = 0;
  uint64_t digest = 0;
  int64_t wrongNan = 0, wrongZero = 0, notNearest = 0, count = 0;
  double badX = 0, badY = 0, badGot = 0;

  void merge(const Report &other) {
    if (other.worst > worst) {
      worst = other.worst;
      worstX = other.worstX;
      worstY = other.worstY;
      worstGot = other.worstGot;
    }
    if (other.wrongNan + other.wrongZero) {
      badX = other.badX;
      badY = other.badY;
      badGot = other.badGot;
    }
    digest += other.digest;
    wrongNan += other.wrongNan;
    wrongZero += other.wrongZero;
    notNearest += other.notNearest;
    count += other.count;
  }
};
} // namespace

template <typename T>
static void compare(Report &report, T x, T y, T got,
                    typename Format<T>::Wide exact) {
  using F = Format<T>;
  using Wide = typename F::Wide;
  ++report.count;
  auto bad = [&](int64_t &counter) {
    ++counter;
    report.badX = x;
    report.badY = y;
    report.badGot = got;
  };
  if (std::isnan(exact) || std::isnan(got)) {
    if (std::isnan(exact) != std::isnan(got))
      bad(report.wrongNan);
    return;
  }
  T nearest = T(exact);
  if (nearest == got) {
    if (got == 0 && std::signbit(got) != std::signbit(exact))
      bad(report.wrongZero);
    // The nearest: at most half a unit off, and no news.
    report.worst = std::max(report.worst, 0.5);
    return;
  }
  ++report.notNearest;
  // Infinity counts as the next power of two.
  Wide top = std::ldexp(Wide(1), F::most);
  auto finite = [&](Wide v) {
    return std::min(std::max(v, -top), top);
  };
  Wide reference = finite(exact);
  int exponent = reference == 0 ? F::least
                                : std::ilogb(reference) - (F::digits - 1);
  exponent = std::max(exponent, F::least);
  exponent = std::min(exponent, F::most - F::digits);
  double error = double(
      std::fabs(std::ldexp(finite(Wide(got)) - reference, -exponent)));
  if (error > report.worst) {
    report.worst = error;
    report.worstX = x;
    report.worstY = y;
    report.worstGot = got;
  }
}

template <typename T> struct BitsOf;
template <> struct BitsOf<float> { using type = uint32_t; };
template <> struct BitsOf<double> { using type = uint64_t; };

/// The i-th sample: a third over all bit patterns, a third dense where the
/// function lives, a third near integers, zero and multiples of pi/2.
template <typename T>
static T getSample(const Function &function, std::mt19937_64 &random,
                   int64_t i) {
  uint64_t r = random();
  switch (i % 4) {
  case 0: {
    auto bits = typename BitsOf<T>::type(r);
    T x;
    std::memcpy(&x, &bits, sizeof(x));
    return x;
  }
  case 1:
  case 2:
    return T(function.lo + (function.hi - function.lo) * (double(r >> 11) *
                                                          0x1p-53));
  default: {
    double base = double(int64_t(r % 65) - 32) *
                  ((r >> 8) % 3 == 0   ? 1.0
                   : (r >> 8) % 3 == 1 ? 0.5
                                       : 1.5707963267948966);
    double offset = std::ldexp(double(int64_t(r >> 32) % 1024 - 512),
                               -int((r >> 20) % 60));
    return T((r >> 60) == 0 ? base : base + offset * 1e-3);
  }
  }
}

static double special(int64_t i) {
  static const double values[] = {
      0.0, 1.0, 2.0, 0.5, 3.0, 1.5, 1e-310, 5e-324, 1e-40, 1.4e-45, 1e300,
      1e30, 1e7, 1e22, std::numeric_limits<double>::infinity(), 0.25, 1e-8,
      std::numeric_limits<double>::quiet_NaN(), 3.5, 1e5, 4503599627370497.0};
  double v = values[(i / 2) % std::size(values)];
  return i % 2 ? -v : v;
}
static constexpr int64_t specials = 42;

template <typename T> static Report check(const Function &function,
                                          Kernel kernel) {
  constexpr int64_t block = 1 << 14;
  int64_t blocks = exhaustive ? (int64_t(1) << 32) / block
                              : std::max<int64_t>(1, samples / block);
  int threads = threadCount > 0 ? int(threadCount)
                                : int(std::thread::hardware_concurrency());
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  Report total;
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&] {
      Report report;
      std::vector<T> x(block), y(block), out(block);
      for (int64_t b = next++; b < blocks; b = next++) {
        std::mt19937_64 random(uint64_t(seed) * 1000003 + uint64_t(b));
        for (int64_t i = 0; exhaustive && i < block; ++i) {
          auto bits = uint32_t(b * block + i);
          float value;
          std::memcpy(&value, &bits, sizeof(value));
          x[i] = T(value);
        }
        for (int64_t i = 0; !exhaustive && i < block; ++i) {
          if (b == 0 && i < specials * specials) {
            x[i] = T(special(i / specials));
            y[i] = T(special(i % specials));
            continue;
          }
          x[i] = getSample<T>(function, random, i);
          y[i] = getSample<T>(function, random, i / 4);
        }
        kernel(x.data(), x.data(), 0, block, 1, y.data(), y.data(), 0, block,
               1, out.data(), out.data(), 0, block, 1);
        for (int64_t i = 0; i < block; ++i) {
          typename Format<T>::Wide exact;
          if constexpr (std::is_same_v<T, float>)
            exact = function.f64(x[i], y[i]);
          else
            exact = function.wide(x[i], y[i]);
          compare<T>(report, x[i], y[i], out[i], exact);
          // A sum, so that the order of blocks does not matter; NaN is NaN.
          typename BitsOf<T>::type result = 1;
          if (!std::isnan(out[i]))
            std::memcpy(&result, &out[i], sizeof(result));
          report.digest += (uint64_t(result) + 0x9e3779b97f4a7c15) *
                           (uint64_t(b * block + i) * 2 + 1);
        }
      }
      std::lock_guard<std::mutex> lock(mutex);
      total.merge(report);
    });
  for (std::thread &worker : workers)
    worker.join();
  return total;
}

/// Nanoseconds per element, of arguments where the function lives, in cache.
template <typename T> static double measure(const Function &function,
                                            Kernel kernel) {
  constexpr int64_t count = 2048;
  std::vector<T> x(count), y(count), out(count);
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < count; ++i) {
    double lo = std::max(function.lo, -10.0), hi = std::min(function.hi, 10.0);
    x[i] = T(lo + (hi - lo) * (double(random() >> 11) * 0x1p-53));
    y[i] = T(double(random() >> 11) * 0x1p-53);
  }
  double best = 1e9;
  for (int repeat = 0; repeat < 50; ++repeat) {
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 10; ++i)
      kernel(x.data(), x.data(), 0, count, 1, y.data(), y.data(), 0, count, 1,
             out.data(), out.data(), 0, count, 1);
    best = std::min(best, std::chrono::duration<double, std::nano>(
                              std::chrono::steady_clock::now() - start)
                                  .count() /
                              (10.0 * count));
  }
  return best;
}

int main(int argc, char **argv) {
  llvm::cl::ParseCommandLineOptions(
      argc, argv, "Measures the error of the math library's functions\n");
  if (list) {
    for (const Function &function : functions)
      llvm::outs() << function.name << '\n';
    return 0;
  }
  bool isF32 = typeName == "f32";
  if (!isF32 && typeName != "f64") {
    llvm::errs() << "headrace-mathcheck: error: expected --type f32 or f64 but "
                    "got '"
                 << typeName << "'\n";
    return 1;
  }
  if (exhaustive && !isF32) {
    llvm::errs() << "headrace-mathcheck: error: only f32 can be tested on all "
                    "its values\n";
    return 1;
  }
  for (const std::string &name : functionNames)
    if (llvm::none_of(functions,
                      [&](const Function &f) { return name == f.name; })) {
      llvm::errs() << "headrace-mathcheck: error: unknown function '" << name
                   << "'; --list names them\n";
      return 1;
    }
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  registerAllPasses();
  headrace::registerMathPasses();

  bool ok = true;
  for (const Function &function : functions) {
    if (!functionNames.empty() &&
        !llvm::is_contained(functionNames, function.name))
      continue;
    if (exhaustive && function.operands == 2)
      continue;
    std::unique_ptr<llvm::orc::LLJIT> jit = compile(function);
    if (!jit) {
      llvm::errs() << "headrace-mathcheck: error: cannot compile "
                   << function.name << '\n';
      return 1;
    }
    llvm::ExitOnError exitOnError("headrace-mathcheck: ");
    auto kernel = exitOnError(jit->lookup("kernel")).toPtr<Kernel>();
    Report report = isF32 ? check<float>(function, kernel)
                          : check<double>(function, kernel);
    if (bits) {
      llvm::outs() << llvm::format("%s %016llx\n", function.name,
                                   (unsigned long long)report.digest);
      continue;
    }
    double time = isF32 ? measure<float>(function, kernel)
                        : measure<double>(function, kernel);
    bool good = report.worst <= limit && !report.wrongNan &&
                !report.wrongZero;
    ok &= good;
    llvm::outs() << llvm::format(
        "%-6s %s  worst %.4f ulp at %a", function.name, typeName.c_str(),
        report.worst, report.worstX);
    if (function.operands == 2)
      llvm::outs() << llvm::format(", %a", report.worstY);
    llvm::outs() << llvm::format(
        " (got %a)  %.3f %% not nearest of %lld  %.3f ns", report.worstGot,
        100.0 * double(report.notNearest) / double(report.count),
        (long long)report.count, time);
    if (report.wrongNan || report.wrongZero)
      llvm::outs() << llvm::format(
          "  WRONG: %lld NaN, %lld zero, as at %a, %a (got %a)",
          (long long)report.wrongNan, (long long)report.wrongZero, report.badX,
          report.badY, report.badGot);
    llvm::outs() << (good ? "\n" : "  FAILED\n");
    llvm::outs().flush();
  }
  return ok ? 0 : 1;
}
