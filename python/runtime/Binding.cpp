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
//   Context    arena and state; keeps Artifact and Pool alive; one call at a
//              time, which a lock sees to, with the interpreter's released
//   Tensor     an output's memory, handed on by __dlpack__ without a copy; knows
//              nothing of the artifact
//   Call       an entry as a callable (Call.cpp); keeps its Context alive
//
// So the shared object is unloaded when nothing is left that could call it.
//
//===----------------------------------------------------------------------===//
#include "Binding.h"
#include "headrace/Runtime/Artifact.h"
#include "headrace/Runtime/Rename.h"
#include <cstdlib>
#include <mutex>

using namespace headrace::python;

PyObject *headrace::python::errorType = nullptr;

void headrace::python::raise(int code, const std::string &text) {
  // Paths may be in any encoding.
  auto message =
      py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefaultAndSize(
          text.data(), static_cast<Py_ssize_t>(text.size())));
  if (!message)
    throw py::error_already_set();
  py::object error =
      py::reinterpret_borrow<py::object>(errorType)(message, py::int_(code));
  PyErr_SetObject(errorType, error.ptr());
  throw py::error_already_set();
}

//===----------------------------------------------------------------------===//
// Artifacts and contexts
//===----------------------------------------------------------------------===//

Artifact::Artifact(const std::string &path, const std::string &weights) {
  char message[1024] = "";
  int code;
  {
    py::gil_scoped_release release;
    code = hr_artifact_open(path.c_str(),
                            weights.empty() ? nullptr : weights.c_str(),
                            &loaded, message, sizeof message);
  }
  if (code != HR_OK)
    raise(code, message);
}

Pool::Pool(std::shared_ptr<Artifact> from, uint32_t workers)
    : artifact(std::move(from)) {
  char message[1024] = "";
  int code;
  {
    py::gil_scoped_release release;
    code = artifact->getTable()->create_pool(workers, &pool, message,
                                             sizeof message);
  }
  if (code != HR_OK)
    raise(code, message);
}

Context::Context(std::shared_ptr<Artifact> from, uint32_t workers,
                 std::shared_ptr<Pool> shared, bool fixed)
    : artifact(std::move(from)), pool(std::move(shared)),
      table(artifact->getTable()) {
  char message[1024] = "";
  hr_context_options options{};
  options.struct_size = sizeof options;
  options.pool = pool ? pool->get() : nullptr;
  options.workers = workers;
  options.fixed_workers = fixed;
  int code;
  {
    py::gil_scoped_release release;
    code = table->create_context(artifact->getModel(), &options, &context,
                                 message, sizeof message);
  }
  if (code != HR_OK)
    raise(code, message);
}

void Context::reset() {
  int code;
  std::string message;
  {
    py::gil_scoped_release release;
    std::lock_guard<ForkLock> guard(lock);
    code = table->reset(context);
    if (code != HR_OK)
      message = table->message(context);
  }
  if (code != HR_OK)
    raise(code, message);
}

Context::Buffers Context::run(uint32_t entry, const std::vector<Input> &inputs,
                              uint32_t outputCount) {
  std::vector<DLTensor> in, out(outputCount);
  in.reserve(inputs.size());
  for (const Input &input : inputs)
    in.push_back(input.tensor);
  Buffers buffers;
  buffers.reserve(outputCount);
  int code;
  std::string message;
  {
    py::gil_scoped_release release;
    std::lock_guard<ForkLock> guard(lock);
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
  return buffers;
}

/// `arguments` are tensors of any kind, or capsules of them.
static py::list runContext(Context &context, uint32_t entry,
                           const py::sequence &arguments, uint32_t outputCount,
                           bool torch) {
  std::vector<Input> inputs(arguments.size());
  // Kept: views of torch's tensors own nothing.
  std::vector<py::object> kept;
  for (size_t i = 0; i < inputs.size(); ++i) {
    kept.push_back(arguments[i]);
    if (!libraries.torch || !inputs[i].takeTorch(kept.back().ptr()))
      inputs[i].take(kept.back());
  }
  py::list results;
  for (std::shared_ptr<Buffer> &buffer :
       context.run(entry, inputs, outputCount)) {
    if (torch && libraries.torch)
      results.append(makeTorchTensor(std::move(buffer)));
    else
      results.append(Tensor{std::move(buffer)});
  }
  return results;
}

/// The signature of an artifact that is what the compiler wrote.
static std::string check(const std::string &path, bool weights,
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
static void copy(const std::string &path, int to, const std::string &name,
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

/// Types whose tensors calls take without asking Python; never released.
static void setTorch(py::object tensor, py::object parameter) {
  libraries.torchTensor = tensor.release().ptr();
  libraries.torchParameter = parameter.release().ptr();
  py::handle type(libraries.torchTensor);
  if (!py::hasattr(type, "__dlpack_c_exchange_api__"))
    return;
  py::object capsule = type.attr("__dlpack_c_exchange_api__");
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api"))
    return;
  auto *api = static_cast<const ExchangeAPI *>(
      PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  while (api && api->major != 1)
    api = api->previous;
  if (api && api->fromObject)
    libraries.torch = api;
}

static void setNumpy(py::object array, py::object fromTensor) {
  libraries.numpyArray = array.release().ptr();
  libraries.numpyFromTensor = fromTensor.release().ptr();
}

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
      .def(py::init<const std::string &, const std::string &>(),
           py::arg("path"), py::arg("weights_path") = "")
      .def_property_readonly("signature", [](const Artifact &self) {
        return std::string(self.getTable()->describe());
      });
  py::class_<Pool, std::shared_ptr<Pool>>(module, "Pool")
      .def(py::init<std::shared_ptr<Artifact>, uint32_t>(),
           py::arg("artifact"), py::arg("workers") = 0);
  py::class_<Context, std::shared_ptr<Context>>(module, "Context")
      .def(py::init<std::shared_ptr<Artifact>, uint32_t,
                    std::shared_ptr<Pool>, bool>(),
           py::arg("artifact"), py::arg("workers") = 0,
           py::arg("pool") = nullptr, py::arg("fixed") = false)
      .def("run", &runContext, py::arg("entry"), py::arg("inputs"),
           py::arg("outputs"), py::arg("torch") = false)
      .def("reset", &Context::reset)
      .def_property_readonly("workers", &Context::getWorkers);
  module.def("set_torch", &setTorch, py::arg("tensor"), py::arg("parameter"),
             "Tells the types whose tensors calls take without asking Python.");
  module.def("set_numpy", &setNumpy, py::arg("array"), py::arg("from_tensor"));
  addCall(module);
}
