/*===- Layout.h - What the compiler and the runtime agree on --------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Private to Headrace. Three things are fixed here:
|*
|* - the *image*: constant tables that the compiler emits beside the code and
|*   that the runtime, linked to it, reads (`hr_image` and what it points to).
|*   Every field is 8 bytes wide, so that the structs are laid out alike on all
|*   64-bit targets and the compiler can emit them without asking;
|* - the *frame*: what generated code is called with;
|* - the *footer* at the end of every file that holds weights, from which a
|*   file is checked before any of its code is loaded:
|*
|*       [0, code_bytes)        the ELF shared object (0 for a .weights file)
|*       weights_offset ..      weights, at a multiple of 64 KiB
|*       signature_offset ..    the signature (JSON, not terminated)
|*       size of file - 128     hr_footer
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_LAYOUT_H
#define HEADRACE_RUNTIME_LAYOUT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*===----------------------------------------------------------------------===*\
 * Footer
\*===----------------------------------------------------------------------===*/

#define HR_FOOTER_MAGIC "HEADRACE"
#define HR_FOOTER_VERSION 1
/** Weights begin at a multiple of this in a file, so that they can be mapped
    whatever the page size of the machine. */
#define HR_WEIGHTS_ALIGN 65536

typedef struct {
  char magic[8];
  uint32_t version;
  uint32_t footer_bytes;
  uint64_t code_bytes;
  uint64_t weights_offset;
  uint64_t weights_bytes;
  uint64_t signature_offset;
  uint64_t signature_bytes;
  /** XXH64 (seed 0) of [0, code_bytes), of the weights and of the signature. */
  uint64_t code_hash;
  uint64_t weights_hash;
  uint64_t signature_hash;
  /** Equal in code and weights that belong together. */
  uint64_t id[2];
  uint64_t reserved[3];
  /** XXH64 of all bytes of the footer before this field. */
  uint64_t footer_hash;
} hr_footer;

/*===----------------------------------------------------------------------===*\
 * Image
\*===----------------------------------------------------------------------===*/

/** Operations of `hr_size.code`, a program for a stack machine. */
enum {
  HR_SIZE_CONST = 0,  /* operand: value */
  HR_SIZE_SYMBOL = 1, /* operand: number of the symbol */
  HR_SIZE_ADD = 2,
  HR_SIZE_MUL = 3,
  HR_SIZE_FLOORDIV = 4,
  HR_SIZE_MOD = 5,
  HR_SIZE_MIN = 6,
  HR_SIZE_MAX = 7
};
#define HR_SIZE_STACK 64

/** A size: a constant when `length` is 0, else `length` pairs (op, operand). */
typedef struct {
  const char *text;
  int64_t value;
  const int64_t *code;
  int64_t length;
} hr_size;

/** A symbol of an entry: dimension `dim` of input `input` is
    `scale * symbol + offset`. */
typedef struct {
  const char *name; /* what the user calls the dimension; may be empty */
  int64_t least, largest;
  int64_t input, dim;
  int64_t scale, offset;
} hr_symbol;

/** What has to hold of the sizes of a call: `condition` is at least 0. A
    condition that cannot be computed does not hold. */
typedef struct {
  hr_size condition;
  const char *text;  /* the condition in the user's words */
  const char *where; /* the line of the user's program, may be empty */
} hr_requirement;

/** An input or output of an entry. */
typedef struct {
  const char *name;
  int64_t dtype; /* DLDataTypeCode | bits << 8 */
  int64_t rank;
  int64_t largest; /* bytes, over all sizes in range; INT64_MAX: unbounded */
  const hr_size *dims;
} hr_port;

struct hr_frame;

/** An entry's schedule for one number of workers. */
typedef struct {
  int64_t workers;
  hr_size arena;          /* bytes */
  int64_t arena_largest;  /* over all sizes in range; INT64_MAX: unbounded */
  int64_t scratch_stride; /* bytes of scratch per worker */
  /** Runs the timeline of a worker. */
  void (*timeline)(const struct hr_frame *frame, int64_t worker);
  /** The least work of a call, as `hr_entry.work` has it, at which this schedule is
      predicted to be faster than those of fewer workers; INT64_MAX: never. */
  int64_t from_work;
} hr_schedule;

/** All elements of an input (int32 or int64) are in [0, bound), or with `wrap`
    in [-bound, bound). */
typedef struct {
  int64_t input;
  hr_size bound;
  int64_t wrap;
  int64_t site; /* of hr_image */
} hr_index_check;

/** Bytes of the context's state. */
typedef struct {
  int64_t offset, bytes;
} hr_span;

typedef struct {
  const char *name;
  int64_t num_symbols, num_requirements, num_inputs, num_outputs;
  int64_t num_schedules;
  const hr_symbol *symbols;
  const hr_requirement *requirements;
  const hr_port *inputs;
  const hr_port *outputs;
  const hr_schedule *schedules; /* by rising number of workers, first 1 */
  hr_size work;                 /* of a call; grows with its sizes */
  int64_t num_checks;
  const hr_index_check *checks; /* before anything is run */
  int64_t num_kept;
  const hr_span *kept; /* what an error in the data leaves as it was */
} hr_entry;

/** A tensor that lives in the context: `bytes` at `offset` of its state. */
typedef struct {
  const char *name;
  int64_t offset, bytes;
  int64_t initial; /* offset of the weight it starts from; -1: zeros */
} hr_state;

/** Where a check on data can fail. */
typedef struct {
  const char *what;    /* the operator */
  const char *where;   /* the line of the user's program */
  const char *message; /* the condition; where ranged, the name of the number */
  int64_t ranged;      /* whether the error has a number and its bound */
} hr_site;

typedef struct {
  int64_t version; /* HR_FOOTER_VERSION */
  const char *name;
  const char *signature;
  int64_t num_features, num_entries, num_states, num_sites;
  const int64_t *features; /* hr_cpu_feature */
  const hr_entry *entries;
  const hr_state *states;
  const hr_site *sites;
  int64_t state_bytes;
  int64_t weights_bytes;
  /** The weights when they are part of the image, else NULL. */
  const void *weights;
  /** The file of the weights when it is one of its own, else NULL. */
  const char *weights_file;
  int64_t id[2];
} hr_image;

/*===----------------------------------------------------------------------===*\
 * Frame
\*===----------------------------------------------------------------------===*/

/** The progress of a timeline; alone on its line (two, for the prefetcher). */
typedef struct {
  uint32_t value;
  uint32_t sleepers;
  uint32_t padding[30];
} hr_counter;

/** What a call looks like to generated code. Stages get it as their `context`
    operand, to pass to `hr_stage_error`. */
typedef struct hr_frame {
  uint8_t *arena;
  const uint8_t *weights;
  uint8_t *state;
  uint8_t *scratch;
  void **inputs;
  void **outputs;
  int64_t *symbols;
  hr_counter *counters;
  uint32_t *bases; /* counters' values at the start of the call */
  /** Of `hr_profile`, one per worker; NULL when the context does not profile. */
  void *profile;
  /** The first error in data: claimed, then filled in, then published. */
  uint32_t error_state;
  uint32_t error_reserved;
  int64_t error_site, error_value, error_bound;
} hr_frame;

/** Called by stages (headrace/Target/StageABI.h): the data breaks the condition
    of `hr_image.sites[site]`; where that is ranged, `value` is not in
    [0, bound). */
void hr_stage_error(hr_frame *frame, int64_t site, int64_t value,
                    int64_t bound);
/** Adds one to the counter of timeline `self`. */
void hr_signal(hr_frame *frame, int64_t self);
/** Returns once timeline `other` has signalled `count` times in this call. */
void hr_wait(hr_frame *frame, int64_t other, int64_t count);

/** Begins and ends the record of a command of `worker`; called only if
    `profile` is set. */
void hr_profile_begin(hr_frame *frame, int64_t worker, int64_t command,
                      int64_t iteration);
void hr_profile_end(hr_frame *frame, int64_t worker);

/*===----------------------------------------------------------------------===*\
 * CPU features
\*===----------------------------------------------------------------------===*/

typedef enum {
#define HR_X86_FEATURE(id, name, leaf, subleaf, reg, bit, xcr0) HR_X86_##id,
#define HR_AARCH64_FEATURE(id, name, word, bit) HR_AARCH64_##id,
#include "headrace/Runtime/CPUFeatures.def"
  HR_NUM_CPU_FEATURES
} hr_cpu_feature;

#ifdef __cplusplus
}
#endif
#endif /* HEADRACE_RUNTIME_LAYOUT_H */
