//===- headrace.hpp - Compiled models from C++ ----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Owners for what headrace.h hands out, and nothing else: C++17, no source file,
// errors as exceptions. Destroy contexts before the model and the pool that they
// were made of.
//
//     headrace::Model model = headrace::Model::load("./minilm.so", "minilm");
//     headrace::Context context(model);
//     std::vector<float> x(3 * 8);
//     DLTensor y = context.run({headrace::tensor(x.data(), {3, 8})})[0];
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_RUNTIME_HEADRACE_HPP
#define HEADRACE_RUNTIME_HEADRACE_HPP

#include "headrace/Runtime/headrace.h"
#include <atomic>
#include <cstdint>
#include <dlfcn.h>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace headrace {

/// A call that failed; `code` is an hr_status.
class Error : public std::runtime_error {
public:
  Error(int code, const std::string &text)
      : std::runtime_error(text), code(code) {}
  int code;
};

/// A row-major tensor in somebody else's memory, which must stay as long as it
/// is used. Converts to the DLTensor that the C interface takes.
class TensorRef {
public:
  TensorRef(void *data, DLDataType dtype, std::vector<int64_t> shape)
      : sizes(std::move(shape)), data(data), dtype(dtype) {}
  /// Valid as long as this object is, and is not moved.
  DLTensor get() {
    DLTensor tensor{};
    tensor.data = data;
    tensor.device = {kDLCPU, 0};
    tensor.ndim = static_cast<int32_t>(sizes.size());
    tensor.dtype = dtype;
    tensor.shape = sizes.data();
    return tensor;
  }

private:
  std::vector<int64_t> sizes;
  void *data;
  DLDataType dtype;
};

/// The DLPack type of a C++ type: bool, the integers, float and double.
template <typename T> constexpr DLDataType dtypeOf() {
  static_assert(std::is_arithmetic_v<T>, "has no DLPack type of its own");
  uint8_t code = std::is_same_v<T, bool>       ? kDLBool
                 : std::is_floating_point_v<T> ? kDLFloat
                 : std::is_signed_v<T>         ? kDLInt
                                               : kDLUInt;
  return {code, static_cast<uint8_t>(8 * sizeof(T)), 1};
}

template <typename T>
TensorRef tensor(T *data, std::initializer_list<int64_t> shape) {
  using Element = std::remove_const_t<T>;
  return TensorRef(const_cast<Element *>(data), dtypeOf<Element>(), shape);
}

/// An opened model. Any number of threads may make contexts of it.
class Model {
public:
  /// Of an artifact that is linked into the program: hr_model_<name>.
  explicit Model(const hr_table &linked, const char *weightsPath = nullptr)
      : Model(linked, nullptr, nullptr, weightsPath) {}
  /// Of a shared object. What the file holds now is what is loaded, whatever was
  /// loaded from that path before. The code stays until the model and all pools
  /// and contexts made of it are gone.
  static Model load(const std::string &path, const std::string &name,
                    const char *weightsPath = nullptr) {
    std::shared_ptr<void> library(
        dlopen(makeUnique(path).c_str(), RTLD_NOW | RTLD_LOCAL),
        [](void *handle) {
          if (handle)
            dlclose(handle);
        });
    if (!library)
      throw Error(HR_ERROR_ARTIFACT, dlerror());
    void *symbol = dlsym(library.get(), ("hr_model_" + name).c_str());
    if (!symbol)
      throw Error(HR_ERROR_ARTIFACT, path + " has no model '" + name + "'");
    return Model(*static_cast<const hr_table *>(symbol), std::move(library),
                 path.c_str(), weightsPath);
  }
  Model(Model &&other) noexcept
      : library(std::move(other.library)), table(other.table),
        model(std::exchange(other.model, nullptr)) {}
  Model &operator=(Model &&) = delete;
  ~Model() {
    if (model)
      table->close(model);
  }

  /// The signature, JSON.
  const char *describe() const { return table->describe(); }
  /// The number of an entry, for Context::run.
  uint32_t entry(const char *name) const {
    int number = table->find_entry(model, name);
    if (number < 0)
      throw Error(HR_ERROR_ARGUMENT,
                  std::string("the model has no entry '") + name + "'");
    return static_cast<uint32_t>(number);
  }
  const hr_table &getTable() const { return *table; }
  const hr_model *get() const { return model; }
  /// Keeps the code loaded.
  const std::shared_ptr<void> &getLibrary() const { return library; }

private:
  Model(const hr_table &found, std::shared_ptr<void> library,
        const char *codePath, const char *weightsPath)
      : library(std::move(library)), table(&found) {
    if (table->abi_version != HR_ABI_VERSION ||
        table->table_size != sizeof(hr_table) ||
        table->tensor_size != sizeof(DLTensor))
      throw Error(HR_ERROR_ARTIFACT,
                  "the artifact has version " +
                      std::to_string(table->abi_version) +
                      " of the C interface, this program has version " +
                      std::to_string(HR_ABI_VERSION));
    char why[512] = "";
    hr_open_options options{};
    options.struct_size = sizeof options;
    options.weights_path = weightsPath;
    options.code_path = codePath;
    if (int code = table->open(&options, &model, why, sizeof why))
      throw Error(code, why);
  }
  /// The path in a spelling that no loader has seen: it compares names before it
  /// looks at files. A path without a slash is one in the current folder.
  static std::string makeUnique(const std::string &path) {
    static std::atomic<uint64_t> count{0};
    size_t slash = path.rfind('/');
    bool plain = slash == std::string::npos;
    std::string result = plain ? "." : path.substr(0, slash);
    // Other copies of this code are at other addresses.
    for (uint64_t n : {uint64_t(reinterpret_cast<uintptr_t>(&count)) >> 3,
                       ++count})
      for (; n; n >>= 1)
        result += n & 1 ? "/." : "/";
    return result + "/" + (plain ? path : path.substr(slash + 1));
  }

  std::shared_ptr<void> library; // last to go
  const hr_table *table;
  hr_model *model = nullptr;
};

/// Worker threads, which contexts of any models may share.
class Pool {
public:
  /// `workers` 0: one per CPU that this process may use.
  explicit Pool(const Model &model, uint32_t workers = 0)
      : library(model.getLibrary()), table(&model.getTable()) {
    char why[512] = "";
    if (int code = table->create_pool(workers, &pool, why, sizeof why))
      throw Error(code, why);
  }
  Pool(Pool &&other) noexcept
      : library(std::move(other.library)), table(other.table),
        pool(std::exchange(other.pool, nullptr)) {}
  Pool &operator=(Pool &&) = delete;
  ~Pool() {
    if (pool)
      table->destroy_pool(pool);
  }
  hr_pool *get() const { return pool; }

private:
  std::shared_ptr<void> library;
  const hr_table *table;
  hr_pool *pool = nullptr;
};

/// Arena and state of one running model; used by one thread at a time.
class Context {
public:
  /// At most `workers`; 0: all of the pool, or of the machine. A run takes as many
  /// as are predicted to be fastest at its sizes; with `fixed`, all.
  explicit Context(const Model &model, const Pool *pool = nullptr,
                   uint32_t workers = 0, bool fixed = false)
      : library(model.getLibrary()), table(&model.getTable()) {
    char why[512] = "";
    hr_context_options options{};
    options.struct_size = sizeof options;
    options.pool = pool ? pool->get() : nullptr;
    options.workers = workers;
    options.fixed_workers = fixed;
    if (int code = table->create_context(model.get(), &options, &context, why,
                                         sizeof why))
      throw Error(code, why);
  }
  Context(Context &&other) noexcept
      : library(std::move(other.library)), table(other.table),
        context(std::exchange(other.context, nullptr)) {}
  Context &operator=(Context &&) = delete;
  ~Context() {
    if (context)
      table->destroy_context(context);
  }

  /// Runs an entry with `outputs` results, which stay the context's: shapes are
  /// valid until the next run, data until the one after.
  std::vector<DLTensor> run(std::vector<TensorRef> inputs, size_t outputs = 1,
                            uint32_t entry = 0) {
    std::vector<DLTensor> results(outputs, DLTensor{});
    runInto(inputs, results, entry);
    return results;
  }
  /// The same into the caller's memory.
  void run(std::vector<TensorRef> inputs, std::vector<TensorRef> outputs,
           uint32_t entry = 0) {
    std::vector<DLTensor> results;
    for (TensorRef &output : outputs)
      results.push_back(output.get());
    runInto(inputs, results, entry);
  }
  /// State as in a new context.
  void reset() { check(table->reset(context)); }
  uint32_t workers() const { return table->workers(context); }
  /// What the typed functions of generated headers take.
  hr_context *get() const { return context; }
  void check(int code) const {
    if (code)
      throw Error(code, table->message(context));
  }

private:
  void runInto(std::vector<TensorRef> &inputs, std::vector<DLTensor> &outputs,
               uint32_t entry) {
    std::vector<DLTensor> given;
    for (TensorRef &input : inputs)
      given.push_back(input.get());
    check(table->run(context, entry, given.data(),
                     static_cast<uint32_t>(given.size()), outputs.data(),
                     static_cast<uint32_t>(outputs.size())));
  }

  std::shared_ptr<void> library;
  const hr_table *table;
  hr_context *context = nullptr;
};

} // namespace headrace
#endif // HEADRACE_RUNTIME_HEADRACE_HPP
