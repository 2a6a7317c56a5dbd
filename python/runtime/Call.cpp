//===- Call.cpp - An entry as a callable ----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Most calls give tensors of one library, by position and name as the program was
// exported, and nothing else. For those no Python code runs: arguments and results
// cross in C. Everything else (other names, containers, numbers, other kinds of
// tensors) goes to the general way, a Python callable, which also has the words for
// what is wrong.
//
//===----------------------------------------------------------------------===//
#include "Binding.h"
#include <cstddef>
#include <structmember.h>

using namespace headrace::python;

namespace {
/// What a call gives back, given the list of results.
enum class Form { Single, Tuple, List, Other };

struct Call {
  PyObject_HEAD
  vectorcallfunc call;
  std::shared_ptr<Context> *context;
  uint32_t entry, inputCount, outputCount;
  Form form;
  PyObject *names;   // tuple: of the last inputs, which are given by name
  PyObject *finish;  // of Form::Other: takes the list of results
  PyObject *general; // the general way
};
} // namespace

static PyObject *fallBack(Call *self, PyObject *const *arguments, size_t count,
                          PyObject *names) {
  return PyObject_Vectorcall(self->general, arguments, count, names);
}

static py::object convert(std::shared_ptr<Buffer> &buffer, bool torch) {
  if (torch)
    return makeTorchTensor(std::move(buffer));
  // numpy has no such type.
  bool known = buffer->dtype.code != kDLBfloat;
  py::object tensor = py::cast(Tensor{std::move(buffer)});
  if (!known)
    return tensor;
  auto array = py::reinterpret_steal<py::object>(
      PyObject_CallOneArg(libraries.numpyFromTensor, tensor.ptr()));
  if (!array)
    throw py::error_already_set();
  return array;
}

static PyObject *finish(Call *self, Context::Buffers buffers, bool torch) {
  if (self->form == Form::Single)
    return convert(buffers.front(), torch).release().ptr();
  Py_ssize_t count = static_cast<Py_ssize_t>(buffers.size());
  if (self->form == Form::Tuple) {
    py::tuple results(count);
    for (Py_ssize_t i = 0; i < count; ++i)
      results[i] = convert(buffers[i], torch);
    return results.release().ptr();
  }
  py::list results(count);
  for (Py_ssize_t i = 0; i < count; ++i)
    results[i] = convert(buffers[i], torch);
  return self->form == Form::List
             ? results.release().ptr()
             : PyObject_CallOneArg(self->finish, results.ptr());
}

/// The number of the input that the argument `name` is, or -1.
static Py_ssize_t findInput(const Call *self, PyObject *name) {
  Py_ssize_t count = PyTuple_GET_SIZE(self->names);
  Py_ssize_t first = static_cast<Py_ssize_t>(self->inputCount) - count;
  for (Py_ssize_t i = 0; i < count; ++i) // interned, almost always
    if (PyTuple_GET_ITEM(self->names, i) == name)
      return first + i;
  for (Py_ssize_t i = 0; i < count; ++i)
    if (PyUnicode_Compare(PyTuple_GET_ITEM(self->names, i), name) == 0)
      return first + i;
  return -1;
}

static PyObject *callEntry(PyObject *object, PyObject *const *arguments,
                           size_t flags, PyObject *names) {
  auto *self = reinterpret_cast<Call *>(object);
  Py_ssize_t positions = PyVectorcall_NARGS(flags);
  Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  auto count = static_cast<size_t>(positions + named);
  if (count == 0 || count != self->inputCount ||
      named != PyTuple_GET_SIZE(self->names))
    return fallBack(self, arguments, flags, names);
  try {
    // As many names as there are inputs with one, all different: each has its own.
    std::vector<Input> inputs(count);
    bool torch = libraries.torch != nullptr;
    for (size_t i = 0; i < count; ++i) {
      auto at = static_cast<Py_ssize_t>(i);
      if (at >= positions)
        at = findInput(self, PyTuple_GET_ITEM(names, at - positions));
      if (at < 0)
        return fallBack(self, arguments, flags, names);
      Input &input = inputs[static_cast<size_t>(at)];
      if (torch && input.takeTorch(arguments[i]))
        continue;
      // The first decides; mixtures go the general way.
      if ((torch && i > 0) || !libraries.numpyArray ||
          !input.takeNumpy(arguments[i]))
        return fallBack(self, arguments, flags, names);
      torch = false;
    }
    return finish(self,
                  (*self->context)->run(self->entry, inputs, self->outputCount),
                  torch);
  } catch (py::error_already_set &error) {
    error.restore();
  } catch (const std::bad_alloc &) {
    PyErr_NoMemory();
  } catch (const std::exception &error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

//===----------------------------------------------------------------------===//
// The type
//===----------------------------------------------------------------------===//

/// Call(context, entry, inputs, outputs, names, form, general): `names` is a tuple,
/// `form` is "single", "tuple", "list" or what makes the result of the list.
static PyObject *newCall(PyTypeObject *type, PyObject *arguments, PyObject *) {
  PyObject *context, *names, *form, *general;
  unsigned entry, inputs, outputs;
  if (!PyArg_ParseTuple(arguments, "OIIIO!OO", &context, &entry, &inputs,
                        &outputs, &PyTuple_Type, &names, &form, &general))
    return nullptr;
  std::shared_ptr<Context> native;
  try {
    native = py::cast<std::shared_ptr<Context>>(py::handle(context));
  } catch (const py::cast_error &) {
    PyErr_SetString(PyExc_TypeError, "expected a Context");
    return nullptr;
  }
  auto *self = reinterpret_cast<Call *>(type->tp_alloc(type, 0));
  if (!self)
    return nullptr;
  self->call = callEntry;
  self->context = new std::shared_ptr<Context>(std::move(native));
  self->entry = entry;
  self->inputCount = inputs;
  self->outputCount = outputs;
  self->form = Form::Other;
  if (PyUnicode_Check(form))
    self->form = PyUnicode_CompareWithASCIIString(form, "single") == 0
                     ? Form::Single
                 : PyUnicode_CompareWithASCIIString(form, "tuple") == 0
                     ? Form::Tuple
                     : Form::List;
  self->names = Py_NewRef(names);
  self->finish = Py_NewRef(form);
  self->general = Py_NewRef(general);
  return reinterpret_cast<PyObject *>(self);
}

static int traverseCall(PyObject *object, visitproc visit, void *arg) {
  auto *self = reinterpret_cast<Call *>(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->names);
  Py_VISIT(self->finish);
  Py_VISIT(self->general);
  return 0;
}

static int clearCall(PyObject *object) {
  auto *self = reinterpret_cast<Call *>(object);
  Py_CLEAR(self->names);
  Py_CLEAR(self->finish);
  Py_CLEAR(self->general);
  return 0;
}

static void freeCall(PyObject *object) {
  auto *self = reinterpret_cast<Call *>(object);
  PyTypeObject *type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  clearCall(object);
  delete self->context;
  type->tp_free(object);
  Py_DECREF(type);
}

void headrace::python::addCall(py::module_ &module) {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(Call, call), READONLY,
       nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  static PyType_Slot slots[] = {
      {Py_tp_new, reinterpret_cast<void *>(newCall)},
      {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
      {Py_tp_traverse, reinterpret_cast<void *>(traverseCall)},
      {Py_tp_clear, reinterpret_cast<void *>(clearCall)},
      {Py_tp_dealloc, reinterpret_cast<void *>(freeCall)},
      {Py_tp_members, members},
      {0, nullptr}};
  static PyType_Spec spec = {
      "headrace._runtime.Call", sizeof(Call), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
      slots};
  auto type = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
  if (!type)
    throw py::error_already_set();
  module.attr("Call") = type;
}
