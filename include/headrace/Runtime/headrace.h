/*===- headrace.h - The C interface of compiled models --------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* What `hrcc -o model.so` and `hrcc -c -o model.o` write exports one symbol, a
|* table `hr_model_<name>`. Everything is reached through it:
|*
|*     extern const hr_table hr_model_minilm;       // or dlsym
|*     hr_model *model; hr_context *context; char why[512];
|*     if (hr_model_minilm.open(NULL, &model, why, sizeof why)) ...
|*     if (hr_model_minilm.create_context(model, NULL, &context, why, ...)) ...
|*     if (hr_model_minilm.run(context, 0, inputs, 2, outputs, 1))
|*       puts(hr_model_minilm.message(context));
|*
|* Rules:
|* - Functions return HR_OK or an error code; the message is in the buffer given
|*   (always terminated) or, for calls on a context, in `message(context)`.
|* - A model may be used by any number of threads, a context by one at a time.
|*   Contexts are independent of each other: each has its own arena and state.
|*   Contexts that share a pool take turns.
|* - Nothing is allocated by `run`. Memory is that of `create_context`.
|* - There is no global state; artifacts do not see each other.
|* - After fork(), the child may use the parent's contexts: they run on the
|*   calling thread alone. Pools have no threads in the child. A context that was
|*   in a call of another thread is free in the child; if the model has state, its
|*   runs fail until it is reset, for the call left it half written.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_HEADRACE_H
#define HEADRACE_RUNTIME_HEADRACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Grows when the meaning of anything in this header changes. */
#define HR_ABI_VERSION 1

/*===----------------------------------------------------------------------===*\
 * Tensors: the ecosystem's struct, field for field that of dlpack.h. Include
 * dlpack.h first to use its own declarations.
\*===----------------------------------------------------------------------===*/
#ifndef DLPACK_DLPACK_H_
typedef enum {
  kDLCPU = 1
} DLDeviceType;

typedef struct {
  int32_t device_type; /* only kDLCPU is accepted */
  int32_t device_id;
} DLDevice;

typedef enum {
  kDLInt = 0,
  kDLUInt = 1,
  kDLFloat = 2,
  kDLBfloat = 4,
  kDLBool = 6
} DLDataTypeCode;

typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides; /* in elements; NULL: row-major and contiguous */
  uint64_t byte_offset;
} DLTensor;
#endif

/*===----------------------------------------------------------------------===*/

typedef enum {
  HR_OK = 0,
  HR_ERROR_ARGUMENT = 1, /* a call that does not fit the signature */
  HR_ERROR_DATA = 2,     /* the data breaks a condition, such as an index out
                             of range */
  HR_ERROR_MACHINE = 3,  /* this machine lacks a CPU feature */
  HR_ERROR_ARTIFACT = 4, /* weights missing, file replaced or damaged */
  HR_ERROR_SYSTEM = 5    /* no memory, no threads, a file not readable */
} hr_status;

typedef struct hr_model hr_model;
typedef struct hr_context hr_context;
typedef struct hr_pool hr_pool;

typedef struct {
  size_t struct_size; /* sizeof(hr_open_options) */
  /** The file that holds the weights, or NULL: the file that the code was
      loaded from, or `<name>.weights` in the same folder. */
  const char *weights_path;
  /** The file that the code was loaded from, or NULL: what the loader says. What
      is in it is compared with the code: a loader that has a library of that name
      already gives back that one, whatever the file is now. Weights are looked for
      beside this name first, then beside the file that it links to. Callers
      compiled before this field was added pass a smaller `struct_size`. */
  const char *code_path;
} hr_open_options;

/** When a worker began and ended one command: CLOCK_MONOTONIC, nanoseconds. */
typedef struct {
  uint32_t command;   /* number in `entries[].commands` of the signature */
  uint32_t iteration; /* of the repeat around it */
  uint64_t begin_ns, end_ns;
} hr_profile_record;

/** What one worker records; alone on its lines. */
typedef struct {
  hr_profile_record *records; /* the caller's memory */
  uint32_t capacity;          /* of `records` */
  uint32_t count; /* commands of the last run; those beyond `capacity` are not
                     recorded */
  uint64_t padding[14];
} hr_profile_timeline;

/** Where a context records the times of its last run. The caller's, and alive as
    long as the context. `timelines` is looked at by `run`, so it may be filled
    in once `workers(context)` is known. */
typedef struct {
  size_t struct_size; /* sizeof(hr_profile) */
  /** NULL: only what is below is recorded, at no cost to the commands. */
  hr_profile_timeline *timelines;
  uint32_t num_timelines; /* at least workers(context) */
  uint32_t workers;       /* of the last run: which schedule it was */
  /** Of the last run, after its checks and before its results are handed over. */
  uint64_t begin_ns, end_ns;
} hr_profile;

typedef struct {
  size_t struct_size; /* sizeof(hr_context_options) */
  /** Workers to run on; NULL: a pool of the context's own. A pool may be
      shared by contexts of any artifacts of the same HR_ABI_VERSION; the
      artifact that made it must stay loaded as long as it is in use. */
  hr_pool *pool;
  /** Use at most so many workers; 0: as many as the CPUs that this process
      may use (affinity, cgroup quota) and the schedules in the artifact allow.
      Each run takes as many of them as are predicted to be fastest at its sizes.
      Results do not depend on it. */
  uint32_t workers;
  /** Record when commands begin and end; NULL: do not. Callers compiled before
      this field was added pass a smaller `struct_size`. */
  hr_profile *profile;
  /** Other than 0: every run takes as many workers as are allowed, fast or not:
      to measure, to compare. Added later, as `profile` was. */
  uint32_t fixed_workers;
} hr_context_options;

typedef struct hr_table {
  uint32_t abi_version; /* HR_ABI_VERSION; check before anything else */
  uint32_t table_size;  /* sizeof(hr_table) as compiled */
  uint32_t tensor_size; /* sizeof(DLTensor) as compiled */
  uint32_t reserved;
  const char *name;

  /** The signature as JSON, terminated. Valid without opening. */
  const char *(*describe)(void);

  /** Checks that this machine can run the code, and maps the weights. The
      checks come before any of the model's code. `options` may be NULL. */
  int (*open)(const hr_open_options *options, hr_model **model, char *message,
              size_t message_size);
  /** All contexts must have been destroyed. NULL is ignored. */
  void (*close)(hr_model *model);

  /** A pool of `workers` workers, one of which is the calling thread of each
      run; 0: one per CPU that this process may use. */
  int (*create_pool)(uint32_t workers, hr_pool **pool, char *message,
                     size_t message_size);
  /** No context may be using it any more. NULL is ignored. */
  void (*destroy_pool)(hr_pool *pool);

  /** Arena, state and outputs, for every entry and for the largest sizes;
      memory is reserved here but taken from the system at first use. State
      starts as the program's buffers were when it was exported. `options` may
      be NULL. */
  int (*create_context)(const hr_model *model,
                        const hr_context_options *options, hr_context **context,
                        char *message, size_t message_size);
  void (*destroy_context)(hr_context *context);
  /** State as in a new context. HR_ERROR_ARGUMENT while a run goes on. */
  int (*reset)(hr_context *context);
  /** How many workers a run takes at most. */
  uint32_t (*workers)(const hr_context *context);

  /** The number of the entry called `name`, or -1. */
  int (*find_entry)(const hr_model *model, const char *name);

  /** Checks `inputs` against the signature and fills in dtype, ndim and shape
      of `outputs`; the shapes stay valid until the next call on the context.
      Does not run. */
  int (*infer)(hr_context *context, uint32_t entry, const DLTensor *inputs,
               uint32_t num_inputs, DLTensor *outputs, uint32_t num_outputs);
  /** Runs an entry. Inputs are row-major and contiguous and are not written.
      An output whose `data` is NULL is the context's: all its fields are filled
      in; its shape stays valid until the next call on the context, its data
      until the call after that, so that it may be an input of the next run.
      Otherwise the result is written to the caller's buffer, whose dtype, shape and strides
      must be as `infer` says and which overlaps no input. Two runs of one
      context at the same time: the second returns HR_ERROR_ARGUMENT. */
  int (*run)(hr_context *context, uint32_t entry, const DLTensor *inputs,
             uint32_t num_inputs, DLTensor *outputs, uint32_t num_outputs);
  /** Why the last call on the context failed; "" after a success. */
  const char *(*message)(const hr_context *context);
} hr_table;

#ifdef __cplusplus
}
#endif
#endif /* HEADRACE_RUNTIME_HEADRACE_H */
