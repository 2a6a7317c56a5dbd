//===- Tensors.cpp - Tensors of Python's libraries, by DLPack -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Tensors.h"
#include "ForkLock.h"
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

using namespace headrace::python;

Libraries headrace::python::libraries;

static size_t getByteSize(const DLTensor &tensor) {
  size_t bytes = (tensor.dtype.bits * tensor.dtype.lanes + 7) / 8;
  for (int32_t d = 0; d < tensor.ndim; ++d)
    bytes *= static_cast<size_t>(tensor.shape[d]);
  return bytes;
}

namespace {
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
      std::lock_guard<ForkLock> guard(lock);
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
      std::lock_guard<ForkLock> guard(lock);
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
  ForkLock lock{/*waits=*/true};
  std::vector<Block> kept; // oldest first
  size_t keptBytes = 0;
};
} // namespace

Buffer::Buffer(const DLTensor &like)
    : shape(like.shape, like.shape + like.ndim), dtype(like.dtype),
      bytes((getByteSize(like) + 63) / 64 * 64),
      data(OutputMemory::get().take(bytes)) {}

Buffer::~Buffer() { OutputMemory::get().give(data, bytes); }

std::string headrace::python::getDtypeName(DLDataType dtype) {
  static const char *const names[] = {"int", "uint", "float", "?", "bfloat"};
  if (dtype.code == kDLBool)
    return "bool";
  return std::string(dtype.code < 5 ? names[dtype.code] : "?") +
         std::to_string(dtype.bits);
}

namespace {
/// A managed tensor in either form, which shares a buffer. Has strides, which
/// some consumers want.
struct Shared {
  std::shared_ptr<Buffer> buffer;
  std::vector<int64_t> strides;
  ManagedTensor plain;
  ManagedTensorVersioned versioned;
};
} // namespace

static Shared *share(std::shared_ptr<Buffer> buffer) {
  auto *shared = new Shared{std::move(buffer), {}, {}, {}};
  const std::vector<int64_t> &shape = shared->buffer->shape;
  shared->strides.assign(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;)
    shared->strides[d - 1] = shared->strides[d] * shape[d];
  DLTensor tensor = shared->buffer->get();
  tensor.strides = shared->strides.data();
  shared->plain = {tensor, shared, [](ManagedTensor *managed) {
                     delete static_cast<Shared *>(managed->managerContext);
                   }};
  shared->versioned = {1, 0, shared,
                       [](ManagedTensorVersioned *managed) {
                         delete static_cast<Shared *>(managed->managerContext);
                       },
                       0, tensor};
  return shared;
}

py::capsule headrace::python::exportTensor(const Tensor &self,
                                           bool versioned) {
  Shared *shared = share(self.buffer);
  if (versioned)
    return py::capsule(&shared->versioned, "dltensor_versioned",
                       [](PyObject *capsule) {
                         if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
                           auto *managed = static_cast<
                               ManagedTensorVersioned *>(PyCapsule_GetPointer(
                               capsule, "dltensor_versioned"));
                           managed->deleter(managed);
                         }
                       });
  return py::capsule(&shared->plain, "dltensor", [](PyObject *capsule) {
    if (PyCapsule_IsValid(capsule, "dltensor")) {
      auto *managed = static_cast<ManagedTensor *>(
          PyCapsule_GetPointer(capsule, "dltensor"));
      managed->deleter(managed);
    }
  });
}

py::object
headrace::python::makeTorchTensor(std::shared_ptr<Buffer> buffer) {
  Shared *shared = share(std::move(buffer));
  void *object = nullptr;
  // It is the other side's from here on, whatever comes of it.
  if (libraries.torch->managedToObject(&shared->versioned, &object) != 0)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(static_cast<PyObject *>(object));
}

py::buffer_info headrace::python::getBufferInfo(const Tensor &self) {
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

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Input::Input(Input &&other) noexcept
    : tensor(other.tensor), copy(std::move(other.copy)), plain(other.plain),
      versioned(other.versioned), view(other.view) {
  other.plain = nullptr;
  other.versioned = nullptr;
  other.view = {};
}

Input::~Input() {
  if (plain && plain->deleter)
    plain->deleter(plain);
  if (versioned && versioned->deleter)
    versioned->deleter(versioned);
  if (view.obj)
    PyBuffer_Release(&view);
}

void Input::makeContiguous() {
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

void Input::take(py::handle object) {
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
    versioned = static_cast<ManagedTensorVersioned *>(
        PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor_versioned");
    tensor = versioned->tensor;
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    plain = static_cast<ManagedTensor *>(
        PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
    PyCapsule_SetName(capsule.ptr(), "used_dltensor");
    tensor = plain->tensor;
  } else {
    throw py::type_error("__dlpack__ returned no DLPack capsule");
  }
  makeContiguous();
}

//===----------------------------------------------------------------------===//
// Without Python calls
//===----------------------------------------------------------------------===//

bool Input::takeTorch(PyObject *object) {
  auto *type = reinterpret_cast<PyObject *>(Py_TYPE(object));
  if (type != libraries.torchTensor && type != libraries.torchParameter)
    return false;
  if (libraries.torch->fromObject(object, &tensor) != 0) {
    PyErr_Clear(); // the general way says what is wrong with it
    return false;
  }
  if (tensor.device.device_type != kDLCPU)
    return false;
  // The imaginary part of a conjugate is a view whose sign is a mere mark.
  if (tensor.dtype.code == kDLFloat || tensor.dtype.code == kDLBfloat) {
    static PyObject *const name = PyUnicode_InternFromString("is_neg");
    PyObject *marked = PyObject_CallMethodNoArgs(object, name);
    if (marked != Py_False) {
      Py_XDECREF(marked);
      PyErr_Clear();
      return false;
    }
    Py_DECREF(marked);
  }
  makeContiguous();
  return true;
}

/// The DLPack type of a native buffer format; bits are 0 for others.
static DLDataType getType(const char *format, Py_ssize_t size) {
  uint8_t bits = static_cast<uint8_t>(8 * size), code;
  if (!format || format[0] == 0 || format[1] != 0)
    return {0, 0, 0};
  if (format[0] == '?')
    code = kDLBool;
  else if (std::strchr("efd", format[0]))
    code = kDLFloat;
  else if (std::strchr("bhilq", format[0]))
    code = kDLInt;
  else if (std::strchr("BHILQ", format[0]))
    code = kDLUInt;
  else
    return {0, 0, 0};
  return {code, bits, 1};
}

bool Input::takeNumpy(PyObject *object) {
  if (reinterpret_cast<PyObject *>(Py_TYPE(object)) != libraries.numpyArray)
    return false;
  if (PyObject_GetBuffer(object, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) !=
      0) {
    PyErr_Clear(); // not contiguous, or of a type that has no buffer
    view = {};
    return false;
  }
  static_assert(sizeof(Py_ssize_t) == sizeof(int64_t));
  tensor.data = view.buf;
  tensor.device = {kDLCPU, 0};
  tensor.ndim = view.ndim;
  tensor.dtype = getType(view.format, view.itemsize);
  tensor.shape = reinterpret_cast<int64_t *>(view.shape);
  return tensor.dtype.bits != 0;
}
