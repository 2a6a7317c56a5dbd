//===- Tensors.h - Tensors of Python's libraries, by DLPack ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arguments come from anything with __dlpack__; from torch, where it offers
// DLPack's exchange in C, and from numpy's buffers without a Python call.
// Outputs own their memory and are handed on without a copy.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PYTHON_TENSORS_H
#define HEADRACE_PYTHON_TENSORS_H

#include "headrace/Runtime/headrace.h"
#include <memory>
#include <pybind11/pybind11.h>
#include <string>
#include <vector>

namespace headrace::python {

namespace py = pybind11;

//===----------------------------------------------------------------------===//
// DLPack's managed structs, with and without a version, and its exchange in C;
// see dlpack.h.
//===----------------------------------------------------------------------===//

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

/// What a library's tensor type has as `__dlpack_c_exchange_api__`.
struct ExchangeAPI {
  uint32_t major, minor;
  const ExchangeAPI *previous;
  void *allocate;
  int (*managedFromObject)(void *object, ManagedTensorVersioned **tensor);
  int (*managedToObject)(ManagedTensorVersioned *tensor, void **object);
  /// A view that owns nothing; may be NULL.
  int (*fromObject)(void *object, DLTensor *tensor);
  void *currentStream;
};

/// torch's types and its exchange, and numpy's; objects are NULL where there is
/// none. Set by the package once these are imported.
struct Libraries {
  PyObject *torchTensor = nullptr, *torchParameter = nullptr;
  const ExchangeAPI *torch = nullptr;
  PyObject *numpyArray = nullptr, *numpyFromTensor = nullptr;
};
extern Libraries libraries;

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// Memory of an output and its shape.
struct Buffer {
  explicit Buffer(const DLTensor &like);
  Buffer(const Buffer &) = delete;
  ~Buffer();
  DLTensor get() {
    return {data, {kDLCPU, 0}, int32_t(shape.size()), dtype,
            shape.data(), nullptr, 0};
  }
  std::vector<int64_t> shape;
  DLDataType dtype;
  size_t bytes;
  void *data;
};

/// The Python type.
struct Tensor {
  std::shared_ptr<Buffer> buffer;
};

std::string getDtypeName(DLDataType dtype);
/// A capsule that shares the buffer.
py::capsule exportTensor(const Tensor &self, bool versioned);
py::buffer_info getBufferInfo(const Tensor &self);
/// The buffer as a torch tensor; `libraries.torch` is set.
py::object makeTorchTensor(std::shared_ptr<Buffer> buffer);

/// An argument of a call: the tensor that somebody else owns, and a contiguous
/// copy of it if it is not.
struct Input {
  DLTensor tensor{};

  Input() = default;
  Input(const Input &) = delete;
  Input(Input &&other) noexcept;
  ~Input();

  /// Takes anything with __dlpack__, or what that returns. Raises.
  void take(py::handle object);
  /// Takes a torch tensor or a numpy array of an exact, known type without a
  /// Python call. False, with no error set, if it is something else or needs
  /// more; it has to stay alive as long as this object.
  bool takeTorch(PyObject *object);
  bool takeNumpy(PyObject *object);

private:
  void makeContiguous();

  std::vector<char> copy;
  ManagedTensor *plain = nullptr;
  ManagedTensorVersioned *versioned = nullptr;
  Py_buffer view{};
};

} // namespace headrace::python
#endif // HEADRACE_PYTHON_TENSORS_H
