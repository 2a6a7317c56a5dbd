//===- Binding.h - Artifacts, pools and contexts for Python ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PYTHON_BINDING_H
#define HEADRACE_PYTHON_BINDING_H

#include "ForkLock.h"
#include "Tensors.h"
#include "headrace/Runtime/Artifact.h"

namespace headrace::python {

/// The package's Error(text, code).
extern PyObject *errorType;
[[noreturn]] void raise(int code, const std::string &text);

/// A loaded shared object and its opened model.
class Artifact {
public:
  /// `weights` is empty where the artifact knows better. Raises.
  Artifact(const std::string &path, const std::string &weights);
  Artifact(const Artifact &) = delete;
  ~Artifact() { hr_artifact_close(&loaded); }
  const hr_table *getTable() const { return loaded.table; }
  const hr_model *getModel() const { return loaded.model; }

private:
  hr_artifact loaded{};
};

/// Worker threads; made by the code of one artifact, of use to all.
class Pool {
public:
  Pool(std::shared_ptr<Artifact> from, uint32_t workers);
  Pool(const Pool &) = delete;
  ~Pool() { artifact->getTable()->destroy_pool(pool); }
  hr_pool *get() const { return pool; }

private:
  std::shared_ptr<Artifact> artifact;
  hr_pool *pool = nullptr;
};

/// Arena and state of a running model. Calls of several threads take turns.
class Context {
public:
  using Buffers = std::vector<std::shared_ptr<Buffer>>;
  Context(std::shared_ptr<Artifact> from, uint32_t workers,
          std::shared_ptr<Pool> shared, bool fixed);
  Context(const Context &) = delete;
  ~Context() { table->destroy_context(context); }

  void reset();
  uint32_t getWorkers() { return table->workers(context); }
  /// Runs an entry, with the interpreter's lock released. Raises.
  Buffers run(uint32_t entry, const std::vector<Input> &inputs,
              uint32_t outputCount);

private:
  std::shared_ptr<Artifact> artifact;
  std::shared_ptr<Pool> pool; // outlives the context, as it has to
  const hr_table *table;
  hr_context *context = nullptr;
  ForkLock lock;
};

/// Adds the type Call.
void addCall(py::module_ &module);

} // namespace headrace::python
#endif // HEADRACE_PYTHON_BINDING_H
