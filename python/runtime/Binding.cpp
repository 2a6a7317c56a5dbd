//===- Binding.cpp - Artifacts from Python --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The module headrace._runtime: opens artifacts through their C table
// (Runtime/headrace.h) and runs them on anything that speaks DLPack. It knows
// neither LLVM nor torch nor numpy. Ownership:
//
//   Artifact   the loaded shared object and its opened model
//   Pool       threads, which contexts may share; keeps its Artifact alive
//   Context    arena and state; keeps its Artifact alive; one call at a time,
//              which a mutex sees to, with the interpreter's lock released
//   Tensor     an output's memory, handed on by __dlpack__ without a copy
//
// The shared object is never unloaded: outputs and threads of a pool may
// outlive every Python object that knows of it.
//
//===----------------------------------------------------------------------===//
#include "headrace/Runtime/Artifact.h"
#include "headrace/Runtime/Rename.h"
#include "headrace/Runtime/headrace.h"
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <mutex>
#include <pybind11/pybind11.h>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace py = pybind11;

//===----------------------------------------------------------------------===//
// DLPack's managed structs, with and without a version; see dlpack.h.
//===----------------------------------------------------------------------===//

namespace {
struct ManagedTensor {
  DLTensor tensor;
  void *managerContext;
  void (*deleter)(ManagedTensor *);
};

struct ManagedTensorVersioned {
  uint32_t major, minor;
  void *managerContext;
  void (*deleter)(ManagedTensorVersioned *);
  uint64_t flags;
  DLTensor tensor;
};

PyObject *errorType = nullptr;

[[noreturn]] void raise(int code, const std::string &text) {
  py::object error =
      py::reinterpret_borrow<py::object>(errorType)(text, py::int_(code));
  PyErr_SetObject(errorType, error.ptr());
  throw py::error_already_set();
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

size_t getByteSize(const DLTensor &tensor) {
  size_t bytes = (tensor.dtype.bits * tensor.dtype.lanes + 7) / 8;
  for (int32_t d = 0; d < tensor.ndim; ++d)
    bytes *= static_cast<size_t>(tensor.shape[d]);
  return bytes;
}

/// Memory for outputs. Large blocks that were given back are kept for the next
/// call: the system clears every page that it hands out, which for large
/// outputs takes longer than computing them.
class OutputMemory {
public:
  static OutputMemory &get() {
    // Never destroyed: tensors may be released after everything else.
    static auto *memory = new OutputMemory;
    return *memory;
  }
  void *take(size_t bytes) {
    if (bytes >= leastKept) {
      std::lock_guard<std::mutex> guard(mutex);
      for (size_t i = kept.size(); i-- > 0;)
        if (kept[i].bytes == bytes) {
          void *data = kept[i].data;
          keptBytes -= bytes;
          kept.erase(kept.begin() + i);
          return data;
        }
    }
    void *data = std::aligned_alloc(bytes >= hugePage ? hugePage : 64,
                                    bytes ? bytes : 64);
    if (!data)
      throw std::bad_alloc();
    if (bytes >= hugePage)
      madvise(data, bytes / hugePage * hugePage, MADV_HUGEPAGE);
    return data;
  }
  void give(void *data, size_t bytes) {
    if (bytes >= leastKept && bytes <= mostKept) {
      std::lock_guard<std::mutex> guard(mutex);
      kept.push_back({data, bytes});
      keptBytes += bytes;
      // The oldest go first: sizes that are no longer asked for.
      while (keptBytes > mostKept) {
        keptBytes -= kept.front().bytes;
        std::free(kept.front().data);
        kept.erase(kept.begin());
      }
      return;
    }
    std::free(data);
  }

private:
  /// Below this, malloc recycles by itself.
  static constexpr size_t leastKept = 128 << 10;
  static constexpr size_t mostKept = 256 << 20;
  static constexpr size_t hugePage = 2 << 20;
  struct Block {
    void *data;
    size_t bytes;
  };
  std::mutex mutex;
  std::vector<Block> kept; // oldest first
  size_t keptBytes = 0;
};

/// Memory of an output and its shape.
struct Buffer {
  explicit Buffer(const DLTensor &like)
      : shape(like.shape, like.shape + like.ndim), dtype(like.dtype),
        bytes((getByteSize(like) + 63) / 64 * 64),
        data(OutputMemory::get().take(bytes)) {}
  Buffer(const Buffer &) = delete;
  ~Buffer() { OutputMemory::get().give(data, bytes); }
  DLTensor get() {
    return {data, {kDLCPU, 0}, int32_t(shape.size()), dtype,
            shape.data(), nullptr, 0};
  }
  std::vector<int64_t> shape;
  DLDataType dtype;
  size_t bytes;
  void *data;
};

struct Tensor {
  std::shared_ptr<Buffer> buffer;
};

std::string getDtypeName(DLDataType dtype) {
  static const char *const names[] = {"int", "uint", "float", "?", "bfloat"};
  if (dtype.code == kDLBool)
    return "bool";
  return std::string(dtype.code < 5 ? names[dtype.code] : "?") +
         std::to_string(dtype.bits);
}

/// Fills in `strides`, which some consumers want, and hands out a capsule that
/// shares the buffer.
py::capsule exportTensor(const Tensor &self, bool versioned) {
  struct Shared {
    std::shared_ptr<Buffer> buffer;
    std::vector<int64_t> strides;
    ManagedTensor plain;
    ManagedTensorVersioned versioned;
  };
  auto *shared = new Shared{self.buffer, {}, {}, {}};
  size_t rank = self.buffer->shape.size();
  shared->strides.assign(rank, 1);
  for (size_t d = rank; d-- > 1;)
    shared->strides[d - 1] = shared->strides[d] * self.buffer->shape[d];
  DLTensor tensor = self.buffer->get();
  tensor.strides = shared->strides.data();
  if (versioned) {
    shared->versioned = {1, 0, shared,
                         [](ManagedTensorVersioned *managed) {
                           delete static_cast<Shared *>(
                               managed->managerContext);
                         },
                         0, tensor};
    return py::capsule(&shared->versioned, "dltensor_versioned",
                       [](PyObject *capsule) {
                         if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
                           auto *managed = static_cast<
                               ManagedTensorVersioned *>(PyCapsule_GetPointer(
                               capsule, "dltensor_versioned"));
                           managed->deleter(managed);
                         }
                       });
  }
  shared->plain = {tensor, shared, [](ManagedTensor *managed) {
                     delete static_cast<Shared *>(managed->managerContext);
                   }};
  return py::capsule(&shared->plain, "dltensor", [](PyObject *capsule) {
    if (PyCapsule_IsValid(capsule, "dltensor")) {
      auto *managed = static_cast<ManagedTensor *>(
          PyCapsule_GetPointer(capsule, "dltensor"));
      managed->deleter(managed);
    }
  });
}

py::buffer_info getBufferInfo(const Tensor &self) {
  Buffer &buffer = *self.buffer;
  std::string format;
  int bits = buffer.dtype.bits;
  switch (buffer.dtype.code) {
  case kDLBool:
    format = "?";
    break;
  case kDLInt:
    format = bits == 8 ? "b" : bits == 16 ? "h" : bits == 32 ? "i" : "q";
    break;
  case kDLUInt:
    format = bits == 8 ? "B" : bits == 16 ? "H" : bits == 32 ? "I" : "Q";
    break;
  case kDLFloat:
    format = bits == 16 ? "e" : bits == 32 ? "f" : "d";
    break;
  default:
    format = "H"; // bfloat16 has no code of its own
  }
  py::ssize_t item = std::max(bits / 8, 1);
  std::vector<py::ssize_t> shape(buffer.shape.begin(), buffer.shape.end());
  std::vector<py::ssize_t> strides(shape.size(), item);
  for (size_t d = shape.size(); d-- > 1;)
    strides[d - 1] = strides[d] * shape[d];
  return py::buffer_info(buffer.data, item, format,
                         static_cast<py::ssize_t>(shape.size()), shape,
                         strides);
}

/// An argument of a call: the tensor that somebody else owns, and a contiguous
/// copy of it if it is not.
struct Input {
  DLTensor tensor{};
  std::vector<char> copy;
  ManagedTensor *plain = nullptr;
  ManagedTensorVersioned *versioned = nullptr;

  Input() = default;
  Input(const Input &) = delete;
  Input(Input &&other) noexcept
      : tensor(other.tensor), copy(std::move(other.copy)), plain(other.plain),
        versioned(other.versioned) {
    other.plain = nullptr;
    other.versioned = nullptr;
  }
  ~Input() {
    if (plain && plain->deleter)
      plain->deleter(plain);
    if (versioned && versioned->deleter)
      versioned->deleter(versioned);
  }

  void makeContiguous() {
    if (tensor.device.device_type != kDLCPU || !tensor.strides)
      return;
    int64_t expected = 1;
    bool contiguous = true, empty = false;
    for (int32_t d = tensor.ndim; d-- > 0;) {
      empty |= tensor.shape[d] == 0;
      contiguous &= tensor.shape[d] == 1 || tensor.strides[d] == expected;
      expected *= tensor.shape[d];
    }
    if (contiguous || empty)
      return;
    size_t item = (tensor.dtype.bits * tensor.dtype.lanes + 7) / 8;
    copy.resize(getByteSize(tensor));
    const char *from =
        static_cast<const char *>(tensor.data) + tensor.byte_offset;
    char *to = copy.data();
    // Odometer over all but the last dimension.
    std::vector<int64_t> index(tensor.ndim, 0);
    int32_t last = tensor.ndim - 1;
    while (true) {
      const char *row = from;
      for (int32_t d = 0; d < last; ++d)
        row += index[d] * tensor.strides[d] * int64_t(item);
      for (int64_t i = 0; i < tensor.shape[last]; ++i, to += item)
        std::memcpy(to, row + i * tensor.strides[last] * int64_t(item), item);
      int32_t d = last - 1;
      for (; d >= 0; --d) {
        if (++index[d] < tensor.shape[d])
          break;
        index[d] = 0;
      }
      if (d < 0)
        break;
    }
    tensor.data = copy.data();
    tensor.byte_offset = 0;
    tensor.strides = nullptr;
  }
};

/// Takes anything with __dlpack__, or what that returns.
Input importTensor(py::handle object) {
  Input input;
  py::object capsule;
  if (PyCapsule_CheckExact(object.ptr())) {
    capsule = py::reinterpret_borrow<py::object>(object);
  } else {
    // Old producers do not know max_version; those that do need it to hand out
    // read-only memory.
    // Never released: at exit there is no interpreter to release it to.
    static const py::handle version = py::make_tuple(1, 0).release();
    try {
      capsule = object.attr("__dlpack__")(py::arg("max_version") = version);
    } catch (py::error_already_set &error) {
      if (!error.matches(PyExc_TypeError))
        throw;
      capsule = object.attr("__dlpack__")();
    }
  }
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    input.versioned = static_cast<ManagedTensorVersioned *>(
        PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor_versioned");
    input.tensor = input.versioned->tensor;
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    input.plain = static_cast<ManagedTensor *>(
        PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor");
    input.tensor = input.plain->tensor;
  } else {
    throw py::type_error("__dlpack__ returned no DLPack capsule");
  }
  input.makeContiguous();
  return input;
}

//===----------------------------------------------------------------------===//
// Artifacts and contexts
//===----------------------------------------------------------------------===//

class Artifact {
public:
  Artifact(const std::string &path, const std::string &symbol,
           const std::string &weights) {
    char message[1024] = "";
    int code;
    {
      py::gil_scoped_release release;
      void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) {
        code = HR_ERROR_ARTIFACT;
        std::snprintf(message, sizeof message, "cannot load the artifact: %s",
                      dlerror());
      } else {
        code = open(dlsym(library, symbol.c_str()), symbol, weights, message,
                    sizeof message);
      }
    }
    if (code != HR_OK)
      raise(code, message);
  }
  Artifact(const Artifact &) = delete;
  ~Artifact() {
    if (model)
      table->close(model);
  }

  const hr_table *table = nullptr;
  hr_model *model = nullptr;

private:
  int open(void *address, const std::string &symbol, const std::string &weights,
           char *message, size_t size) {
    if (!address) {
      std::snprintf(message, size, "the artifact has no table '%s'",
                    symbol.c_str());
      return HR_ERROR_ARTIFACT;
    }
    table = static_cast<const hr_table *>(address);
    if (table->abi_version != HR_ABI_VERSION ||
        table->table_size != sizeof(hr_table) ||
        table->tensor_size != sizeof(DLTensor)) {
      std::snprintf(message, size,
                    "the artifact has version %u of the C interface, this "
                    "package has version %d: compile it again",
                    table->abi_version, HR_ABI_VERSION);
      return HR_ERROR_ARTIFACT;
    }
    hr_open_options options{sizeof(hr_open_options),
                            weights.empty() ? nullptr : weights.c_str()};
    return table->open(&options, &model, message, size);
  }
};

/// Worker threads; made by the code of one artifact, of use to all.
class Pool {
public:
  Pool(std::shared_ptr<Artifact> from, uint32_t workers)
      : artifact(std::move(from)) {
    char message[1024] = "";
    int code;
    {
      py::gil_scoped_release release;
      code = artifact->table->create_pool(workers, &pool, message,
                                          sizeof message);
    }
    if (code != HR_OK)
      raise(code, message);
  }
  Pool(const Pool &) = delete;
  ~Pool() { artifact->table->destroy_pool(pool); }

  hr_pool *pool = nullptr;

private:
  std::shared_ptr<Artifact> artifact;
};

class Context {
public:
  Context(std::shared_ptr<Artifact> from, uint32_t workers,
          std::shared_ptr<Pool> shared)
      : artifact(std::move(from)), pool(std::move(shared)),
        table(artifact->table) {
    char message[1024] = "";
    hr_context_options options{};
    options.struct_size = sizeof options;
    options.pool = pool ? pool->pool : nullptr;
    options.workers = workers;
    int code;
    {
      py::gil_scoped_release release;
      code = table->create_context(artifact->model, &options, &context, message,
                                   sizeof message);
    }
    if (code != HR_OK)
      raise(code, message);
  }
  Context(const Context &) = delete;
  ~Context() { table->destroy_context(context); }

  void reset() {
    int code;
    std::string message;
    {
      py::gil_scoped_release release;
      std::lock_guard<std::mutex> lock(mutex);
      code = table->reset(context);
      if (code != HR_OK)
        message = table->message(context);
    }
    if (code != HR_OK)
      raise(code, message);
  }

  uint32_t getWorkers() { return table->workers(context); }

  py::list run(uint32_t entry, const py::sequence &arguments,
               uint32_t outputCount) {
    std::vector<Input> inputs;
    inputs.reserve(arguments.size());
    for (py::handle argument : arguments)
      inputs.push_back(importTensor(argument));
    std::vector<DLTensor> in;
    for (Input &input : inputs)
      in.push_back(input.tensor);

    std::vector<DLTensor> out(outputCount);
    std::vector<std::shared_ptr<Buffer>> buffers;
    int code;
    std::string message;
    {
      py::gil_scoped_release release;
      std::lock_guard<std::mutex> lock(mutex);
      code = table->infer(context, entry, in.data(), uint32_t(in.size()),
                          out.data(), outputCount);
      if (code == HR_OK) {
        for (DLTensor &tensor : out) {
          buffers.push_back(std::make_shared<Buffer>(tensor));
          tensor = buffers.back()->get();
        }
        code = table->run(context, entry, in.data(), uint32_t(in.size()),
                          out.data(), outputCount);
      }
      if (code != HR_OK)
        message = table->message(context);
    }
    if (code != HR_OK)
      raise(code, message);
    py::list results;
    for (std::shared_ptr<Buffer> &buffer : buffers)
      results.append(Tensor{buffer});
    return results;
  }

private:
  std::shared_ptr<Artifact> artifact;
  std::shared_ptr<Pool> pool; // outlives the context, as it has to
  const hr_table *table;
  hr_context *context = nullptr;
  std::mutex mutex;
};

/// The signature of an artifact that is what the compiler wrote.
std::string check(const std::string &path, bool weights,
                  const std::string &weightsPath) {
  char message[1024] = "";
  char *signature;
  {
    py::gil_scoped_release release;
    signature = hr_artifact_check(
        path.c_str(), weights,
        weightsPath.empty() ? nullptr : weightsPath.c_str(), nullptr, message,
        sizeof message);
  }
  if (!signature)
    raise(HR_ERROR_ARTIFACT, message);
  std::string result(signature);
  std::free(signature);
  return result;
}

/// Writes the artifact to an open file, under another name.
void copy(const std::string &path, int to, const std::string &name,
          const std::string &fileName, const std::string &weightsFile) {
  char message[1024] = "";
  int good;
  {
    py::gil_scoped_release release;
    good = hr_artifact_copy(path.c_str(), to, name.c_str(), fileName.c_str(),
                            weightsFile.c_str(), message, sizeof message);
  }
  if (!good)
    raise(HR_ERROR_ARTIFACT, message);
}
} // namespace

PYBIND11_MODULE(_runtime, module) {
  module.doc() = "Loads and runs artifacts of hrcc.";
  // Set by the package to its own Error(text, code).
  module.def("set_error_type", [](py::object type) {
    Py_XDECREF(errorType);
    errorType = type.release().ptr();
  });
  module.def("check", &check, py::arg("path"), py::arg("weights") = false,
             py::arg("weights_path") = "");
  module.def("copy", &copy, py::arg("path"), py::arg("to"), py::arg("name"),
             py::arg("file_name"), py::arg("weights_file"));
  py::class_<Tensor>(module, "Tensor", py::buffer_protocol(),
                     "An output; numpy.from_dlpack, torch.from_dlpack and "
                     "memoryview take it without a copy.")
      .def_buffer(&getBufferInfo)
      .def(
          "__dlpack__",
          [](const Tensor &self, const py::kwargs &options) {
            bool versioned = options.contains("max_version") &&
                             !options["max_version"].is_none();
            if (versioned)
              versioned = py::cast<int>(
                              py::sequence(options["max_version"])[0]) >= 1;
            return exportTensor(self, versioned);
          })
      .def("__dlpack_device__",
           [](const Tensor &) { return py::make_tuple(int(kDLCPU), 0); })
      .def_property_readonly("shape",
                             [](const Tensor &self) {
                               py::tuple shape(self.buffer->shape.size());
                               for (size_t d = 0; d < shape.size(); ++d)
                                 shape[d] = self.buffer->shape[d];
                               return shape;
                             })
      .def_property_readonly("dtype",
                             [](const Tensor &self) {
                               return getDtypeName(self.buffer->dtype);
                             })
      .def("tolist",
           [](py::object self) {
             return py::module_::import("builtins")
                 .attr("memoryview")(self)
                 .attr("tolist")();
           })
      .def("__repr__", [](const Tensor &self) {
        std::string text = "headrace.Tensor(" +
                           getDtypeName(self.buffer->dtype) + "[";
        for (size_t d = 0; d < self.buffer->shape.size(); ++d)
          text += (d ? ", " : "") + std::to_string(self.buffer->shape[d]);
        return text + "])";
      });
  py::class_<Artifact, std::shared_ptr<Artifact>>(module, "Artifact")
      .def(py::init<const std::string &, const std::string &,
                    const std::string &>(),
           py::arg("path"), py::arg("symbol"), py::arg("weights_path") = "");
  py::class_<Pool, std::shared_ptr<Pool>>(module, "Pool")
      .def(py::init<std::shared_ptr<Artifact>, uint32_t>(),
           py::arg("artifact"), py::arg("workers") = 0);
  py::class_<Context>(module, "Context")
      .def(py::init<std::shared_ptr<Artifact>, uint32_t,
                    std::shared_ptr<Pool>>(),
           py::arg("artifact"), py::arg("workers") = 0,
           py::arg("pool") = nullptr)
      .def("run", &Context::run, py::arg("entry"), py::arg("inputs"),
           py::arg("outputs"))
      .def("reset", &Context::reset)
      .def_property_readonly("workers", &Context::getWorkers);
}
