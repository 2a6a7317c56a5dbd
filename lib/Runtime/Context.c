/*===- Context.c - Contexts: memory, checks of a call, runs ---------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* A context reserves address space for the largest sizes in range when it is
|* created; pages are taken from the system when first touched, so that small
|* calls stay small. Where sizes have no bound worth reserving, a call that
|* needs more than all before it takes a larger region then: the only system
|* call for memory that a run can make.
|*
\*===----------------------------------------------------------------------===*/
#include "Region.h"
#include "Runtime.h"

/** More than this is not reserved ahead: 64 GiB. */
static const int64_t reserve_limit = (int64_t)1 << 36;
enum { MESSAGE_SIZE = 1024 };

struct hr_context {
  hr_frame frame;
  region block; /* the context itself and its small arrays */
  const hr_model *model;
  hr_profile *profile; /* NULL: not asked for */
  hr_pool *pool;
  bool owns_pool;
  bool fixed_workers;
  uint32_t num_workers; /* at most */
  /** Whether a call is going on: 0 or 1 on a page that fork wipes, else 0 or
      the number of the process. */
  uint32_t *busy;
  region busy_page;
  bool is_wiped;
  /** The same as any child of fork sees it: still set there if fork cut the
      call off. */
  bool in_call;
  /** The state is what a call had made of it that fork cut off. */
  bool is_torn;
  /** Arena and scratch of the call; scratch comes first. */
  region arena;
  region state; /* with the copies that calls keep of it behind */
  /** The context's own outputs: two, used in turn, so that the outputs of one
      run may be inputs of the next. */
  region results[2];
  uint32_t turn;
  int64_t *shapes; /* of the outputs of the last call */
  /** The schedule that is being run. */
  const hr_schedule *schedule;
  char message[MESSAGE_SIZE];
};

/*===----------------------------------------------------------------------===*\
 * Sizes
\*===----------------------------------------------------------------------===*/

static int64_t floor_div(int64_t a, int64_t b) {
  int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

/** The value of a size; returns false when it does not fit or divides by 0. */
static bool evaluate(const hr_size *size, const int64_t *symbols,
                     int64_t *result) {
  if (size->length == 0) {
    *result = size->value;
    return true;
  }
  int64_t stack[HR_SIZE_STACK];
  int depth = 0;
  for (int64_t i = 0; i < size->length; ++i) {
    int64_t operation = size->code[2 * i], operand = size->code[2 * i + 1];
    if (operation == HR_SIZE_CONST) {
      stack[depth++] = operand;
      continue;
    }
    if (operation == HR_SIZE_SYMBOL) {
      stack[depth++] = symbols[operand];
      continue;
    }
    int64_t b = stack[--depth], a = stack[depth - 1], r = 0;
    bool bad = false;
    switch (operation) {
    case HR_SIZE_ADD:
      bad = __builtin_add_overflow(a, b, &r);
      break;
    case HR_SIZE_MUL:
      bad = __builtin_mul_overflow(a, b, &r);
      break;
    case HR_SIZE_FLOORDIV:
      bad = b == 0 || (a == INT64_MIN && b == -1);
      r = bad ? 0 : floor_div(a, b);
      break;
    case HR_SIZE_MOD:
      bad = b == 0 || b == -1;
      r = bad ? 0 : a - floor_div(a, b) * b;
      bad = b == 0;
      break;
    case HR_SIZE_MIN:
      r = a < b ? a : b;
      break;
    case HR_SIZE_MAX:
      r = a > b ? a : b;
      break;
    }
    if (bad)
      return false;
    stack[depth - 1] = r;
  }
  *result = stack[0];
  return true;
}

/*===----------------------------------------------------------------------===*\
 * Creation
\*===----------------------------------------------------------------------===*/

/** More work than any schedule waits for that is of use at some size. */
static const int64_t any_work = INT64_MAX - 1;

/** The schedule for the largest number of workers, up to `workers`, that a call
    of so much work pays for; INT64_MAX: whether it pays or not. */
static const hr_schedule *choose_schedule(const hr_entry *entry,
                                          uint32_t workers, int64_t work) {
  const hr_schedule *best = &entry->schedules[0];
  for (int64_t i = 1; i < entry->num_schedules; ++i)
    if (entry->schedules[i].workers <= (int64_t)workers &&
        entry->schedules[i].from_work <= work)
      best = &entry->schedules[i];
  return best;
}

/** The work of the call at hand. */
static int64_t get_work(const hr_context *context, const hr_entry *entry) {
  int64_t work;
  if (context->fixed_workers)
    return INT64_MAX;
  if (!evaluate(&entry->work, context->frame.symbols, &work))
    return any_work; /* beyond 64 bits */
  return work < any_work ? work : any_work;
}

/** Bytes of the context's own outputs for the largest sizes. */
static int64_t largest_results(const hr_entry *entry) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < entry->num_outputs; ++i) {
    int64_t one = entry->outputs[i].largest;
    bytes = saturating_add(bytes,
                           one > reserve_limit ? INT64_MAX : align_up(one));
  }
  return bytes;
}

/** Takes the context for a call; false if another thread has it. */
static bool enter(hr_context *context) {
  uint32_t own = context->is_wiped ? 1 : (uint32_t)hr_process(), found = 0;
  while (!__atomic_compare_exchange_n(context->busy, &found, own, false,
                                      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    if (found == own)
      return false;
  /* Nobody of this process can have left it set: a call of the parent's, of
     which only what it wrote is here. */
  if (context->in_call && hr_rt_image.num_states)
    context->is_torn = true;
  context->in_call = true;
  /* Seen by a child in this order, whenever it is forked. */
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  return true;
}

static void leave(hr_context *context) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  context->in_call = false;
  __atomic_store_n(context->busy, 0, __ATOMIC_RELEASE);
}

/** Bytes of the state and of the copy of it that a call keeps. */
static int64_t state_bytes(void) {
  int64_t most = 0;
  for (int64_t i = 0; i < hr_rt_image.num_entries; ++i) {
    const hr_entry *entry = &hr_rt_image.entries[i];
    int64_t bytes = 0;
    for (int64_t k = 0; k < entry->num_kept; ++k)
      bytes += entry->kept[k].bytes;
    most = bytes > most ? bytes : most;
  }
  return align_up(hr_rt_image.state_bytes) + most;
}

/** Copies what the entry keeps of the state, or `back`. */
static void keep_state(hr_context *context, const hr_entry *entry, bool back) {
  uint8_t *state = context->state.at;
  uint8_t *copy = state + align_up(hr_rt_image.state_bytes);
  for (int64_t i = 0; i < entry->num_kept; ++i) {
    uint8_t *original = state + entry->kept[i].offset;
    size_t bytes = (size_t)entry->kept[i].bytes;
    memcpy(back ? original : copy, back ? copy : original, bytes);
    copy += bytes;
  }
}

int hr_rt_reset(hr_context *context) {
  region *state = &context->state;
  if (!enter(context))
    return HR_ERROR_ARGUMENT;
  context->is_torn = false;
  if (state->at && madvise(state->at, (size_t)state->bytes, MADV_DONTNEED) != 0)
    memset(state->at, 0, (size_t)state->bytes);
  for (int64_t i = 0; i < hr_rt_image.num_states; ++i) {
    const hr_state *s = &hr_rt_image.states[i];
    if (s->initial >= 0)
      memcpy(state->at + s->offset, context->model->weights + s->initial,
             (size_t)s->bytes);
  }
  context->message[0] = 0;
  leave(context);
  return HR_OK;
}

void hr_rt_destroy_context(hr_context *context) {
  if (!context)
    return;
  release(&context->arena);
  release(&context->state);
  release(&context->results[0]);
  release(&context->results[1]);
  release(&context->busy_page);
  if (context->owns_pool)
    hr_pool_destroy(context->pool);
  region block = context->block;
  release(&block);
}

uint32_t hr_rt_workers(const hr_context *context) {
  return context->num_workers;
}

const char *hr_rt_message(const hr_context *context) {
  return context->message;
}

/** What the caller asks of a context. */
typedef struct {
  hr_profile *profile;
  hr_pool *pool;
  uint32_t workers; /* 0: as many as there are */
  bool fixed_workers;
} request;

/** Checks the options, which may be NULL. */
static int read_options(hr_message why, const hr_context_options *options,
                        request *asked) {
  *asked = (request){0, 0, 0, false};
  /* Fields that the caller's header did not have yet are NULL. */
  size_t least = __builtin_offsetof(hr_context_options, profile);
  if (options && options->struct_size < least)
    return hr_fail(why, HR_ERROR_ARGUMENT,
                   "expected hr_context_options of %u bytes but got %u",
                   (unsigned)least, (unsigned)options->struct_size);
  if (options && options->struct_size >=
                     __builtin_offsetof(hr_context_options, fixed_workers))
    asked->profile = options->profile;
  asked->fixed_workers = options && options->struct_size >= sizeof *options &&
                         options->fixed_workers;
  hr_profile *profile = asked->profile;
  if (profile && profile->struct_size < sizeof *profile)
    return hr_fail(why, HR_ERROR_ARGUMENT,
                   "expected hr_profile of %u bytes but got %u",
                   (unsigned)sizeof *profile, (unsigned)profile->struct_size);
  hr_pool *pool = asked->pool = options ? options->pool : 0;
  if (pool && pool->operations->abi_version != HR_ABI_VERSION)
    return hr_fail(why, HR_ERROR_ARGUMENT,
                   "expected a pool of ABI version %u but got %u",
                   HR_ABI_VERSION, pool->operations->abi_version);
  asked->workers = options ? options->workers : 0;
  return HR_OK;
}

/** How many workers: as asked, as there are, as there are schedules for. */
static uint32_t choose_workers(const request *asked) {
  hr_pool *pool = asked->pool;
  uint32_t allowed = pool ? pool->operations->available(pool)
                          : hr_available_cpus();
  if (asked->workers && (!pool || asked->workers < allowed))
    allowed = asked->workers;
  uint32_t workers = 1;
  for (int64_t i = 0; i < hr_rt_image.num_entries; ++i) {
    const hr_schedule *schedule =
        choose_schedule(&hr_rt_image.entries[i], allowed,
                        asked->fixed_workers ? INT64_MAX : any_work);
    if (schedule->workers > workers)
      workers = (uint32_t)schedule->workers;
  }
  return workers;
}

/** One block for everything small, 128-byte aligned for the counters; NULL: out
    of memory. */
static hr_context *allocate(uint32_t workers) {
  int64_t symbols = 0, inputs = 0, outputs = 0, dims = 0;
  for (int64_t i = 0; i < hr_rt_image.num_entries; ++i) {
    const hr_entry *entry = &hr_rt_image.entries[i];
    int64_t rank = 0;
    for (int64_t k = 0; k < entry->num_outputs; ++k)
      rank += entry->outputs[k].rank;
    symbols = entry->num_symbols > symbols ? entry->num_symbols : symbols;
    inputs = entry->num_inputs > inputs ? entry->num_inputs : inputs;
    outputs = entry->num_outputs > outputs ? entry->num_outputs : outputs;
    dims = rank > dims ? rank : dims;
  }
  int64_t head = align_up(sizeof(hr_context));
  int64_t bytes = head + workers * (int64_t)sizeof(hr_counter) +
                  (symbols + inputs + outputs + dims) * 8 + workers * 4;
  region block = {0, 0};
  if (!ensure(&block, bytes))
    return 0;
  hr_context *context = (hr_context *)block.at;
  uint8_t *next = block.at + head;
  context->frame.counters = (hr_counter *)next;
  next += workers * sizeof(hr_counter);
  context->frame.symbols = (int64_t *)next;
  next += symbols * 8;
  context->frame.inputs = (void **)next;
  next += inputs * 8;
  context->frame.outputs = (void **)next;
  next += outputs * 8;
  context->shapes = (int64_t *)next;
  next += dims * 8;
  context->frame.bases = (uint32_t *)next;
  context->block = block;
  context->num_workers = workers;
  return context;
}

/** Arena and outputs, for every schedule that may be run. */
static void reserve_regions(hr_context *context) {
  int64_t arena = 0, results = 0;
  for (int64_t i = 0; i < hr_rt_image.num_entries; ++i) {
    const hr_entry *entry = &hr_rt_image.entries[i];
    for (int64_t k = 0; k < entry->num_schedules; ++k) {
      const hr_schedule *schedule = &entry->schedules[k];
      int64_t need = saturating_add(
          schedule->arena_largest,
          align_up(schedule->scratch_stride * schedule->workers));
      if (schedule->workers <= (int64_t)context->num_workers &&
          need <= reserve_limit && need > arena)
        arena = need;
    }
    int64_t own = largest_results(entry);
    if (own <= reserve_limit && own > results)
      results = own;
  }
  /* A refusal here is not final: a run needs what its sizes need. */
  ensure(&context->arena, arena);
  ensure(&context->results[0], results);
  ensure(&context->results[1], results);
}

int hr_rt_create_context(const hr_model *model,
                         const hr_context_options *options, hr_context **result,
                         char *message, size_t message_size) {
  hr_message why = {message, message_size};
  if (message && message_size)
    *message = 0;
  if (!model || !result)
    return hr_fail(why, HR_ERROR_ARGUMENT,
                   "no model or no place for the context");
  *result = 0;
  request asked;
  int status = read_options(why, options, &asked);
  if (status)
    return status;
  uint32_t workers = choose_workers(&asked);
  hr_context *context = allocate(workers);
  if (!context)
    return hr_fail(why, HR_ERROR_SYSTEM, "out of memory for a context");
  context->model = model;
  context->profile = asked.profile;
  context->fixed_workers = asked.fixed_workers;
  context->frame.weights = model->weights;
  reserve_regions(context);
  if (!ensure(&context->busy_page, sizeof *context->busy)) {
    hr_rt_destroy_context(context);
    return hr_fail(why, HR_ERROR_SYSTEM, "out of memory for a context");
  }
  context->busy = (uint32_t *)context->busy_page.at;
  context->is_wiped = hr_wipe_on_fork(context->busy_page.at,
                                      (size_t)context->busy_page.bytes);
  if (!ensure(&context->state, state_bytes())) {
    hr_rt_destroy_context(context);
    return hr_fail(why, HR_ERROR_SYSTEM,
                   "out of memory for %lld bytes of state",
                   (long long)state_bytes());
  }
  context->frame.state = context->state.at;
  hr_rt_reset(context);
  context->pool = asked.pool;
  if (!asked.pool && workers > 1) {
    status = hr_pool_create(workers, &context->pool, message, message_size);
    if (status) {
      hr_rt_destroy_context(context);
      return status;
    }
    context->owns_pool = true;
  }
  *result = context;
  return HR_OK;
}

/*===----------------------------------------------------------------------===*\
 * Checks of a call
\*===----------------------------------------------------------------------===*/

#define FAIL(context, ...)                                                     \
  hr_fail((hr_message){(context)->message, MESSAGE_SIZE}, HR_ERROR_ARGUMENT,   \
          __VA_ARGS__)

static const char *dtype_name(int64_t code, int64_t bits, char to[32]) {
  static const char *const kinds[] = {"int",    "uint",    "float", "handle",
                                      "bfloat", "complex", "bool"};
  if (code == kDLBool && bits == 8)
    return "bool";
  if (code < 0 || code > 6)
    snprintf(to, 32, "dtype %d of %d bits", (int)code, (int)bits);
  else
    snprintf(to, 32, "%s%d", kinds[code], (int)bits);
  return to;
}

/** What does not depend on sizes. `kind` is "input" or "output". */
static int check_port(hr_context *context, const char *kind,
                      const hr_port *port, const DLTensor *tensor) {
  if (tensor->dtype.code != (port->dtype & 0xff) ||
      tensor->dtype.bits != port->dtype >> 8 || tensor->dtype.lanes != 1) {
    char expected[32], got[32];
    return FAIL(context, "%s '%s': expected %s but got %s", kind, port->name,
                dtype_name(port->dtype & 0xff, port->dtype >> 8, expected),
                dtype_name(tensor->dtype.code, tensor->dtype.bits, got));
  }
  if (tensor->ndim != port->rank)
    return FAIL(context, "%s '%s': expected %d dimensions but got %d", kind,
                port->name, (int)port->rank, (int)tensor->ndim);
  if (tensor->device.device_type != kDLCPU)
    return FAIL(context,
                "%s '%s': expected a tensor on the CPU but got device type %d",
                kind, port->name, (int)tensor->device.device_type);
  if (port->rank && !tensor->shape)
    return FAIL(context, "%s '%s': no shape given", kind, port->name);
  for (int64_t d = 0; d < port->rank; ++d)
    if (tensor->shape[d] < 0)
      return FAIL(context, "%s '%s': dimension %d is %lld", kind, port->name,
                  (int)d, (long long)tensor->shape[d]);
  return HR_OK;
}

/** Sizes, strides and the address. `*at` becomes the first element, `*bytes`
    the number of bytes. */
static int check_sizes(hr_context *context, const char *kind,
                       const hr_port *port, const DLTensor *tensor, void **at,
                       int64_t *bytes) {
  int64_t element = (port->dtype >> 8) / 8;
  *bytes = element;
  for (int64_t d = 0; d < port->rank; ++d) {
    int64_t expected;
    if (!evaluate(&port->dims[d], context->frame.symbols, &expected))
      return FAIL(context, "%s '%s': dimension %d (%s) cannot be computed",
                  kind, port->name, (int)d, port->dims[d].text);
    if (tensor->shape[d] != expected) {
      if (port->dims[d].length == 0)
        return FAIL(context, "%s '%s': dimension %d: expected %lld but got %lld",
                    kind, port->name, (int)d, (long long)expected,
                    (long long)tensor->shape[d]);
      return FAIL(context,
                  "%s '%s': dimension %d: expected %lld (%s) but got %lld",
                  kind, port->name, (int)d, (long long)expected,
                  port->dims[d].text, (long long)tensor->shape[d]);
    }
    if (__builtin_mul_overflow(*bytes, expected, bytes))
      return FAIL(context, "%s '%s': too large", kind, port->name);
  }
  if (tensor->strides && *bytes) {
    int64_t stride = 1;
    for (int64_t d = port->rank - 1; d >= 0; --d) {
      if (tensor->shape[d] != 1 && tensor->strides[d] != stride)
        return FAIL(context,
                    "%s '%s': expected row-major contiguous elements, stride "
                    "%lld in dimension %d, but got %lld",
                    kind, port->name, (long long)stride, (int)d,
                    (long long)tensor->strides[d]);
      stride *= tensor->shape[d];
    }
  }
  if (!tensor->data && *bytes)
    return FAIL(context, "%s '%s': no data given", kind, port->name);
  *at = (uint8_t *)tensor->data + tensor->byte_offset;
  if ((uintptr_t)*at % (uintptr_t)element)
    return FAIL(context, "%s '%s': the data is not aligned to %d bytes", kind,
                port->name, (int)element);
  return HR_OK;
}

/** Binds the symbols to the sizes of the inputs. */
static int bind_symbols(hr_context *context, const hr_entry *entry,
                        const DLTensor *inputs) {
  for (int64_t i = 0; i < entry->num_symbols; ++i) {
    const hr_symbol *symbol = &entry->symbols[i];
    const hr_port *port = &entry->inputs[symbol->input];
    int64_t size = inputs[symbol->input].shape[symbol->dim];
    int64_t beyond;
    if (__builtin_sub_overflow(size, symbol->offset, &beyond))
      return FAIL(context, "input '%s': dimension %d is %lld", port->name,
                  (int)symbol->dim, (long long)size);
    int64_t value = beyond / symbol->scale;
    const char *open = symbol->name[0] ? " (" : "";
    const char *close = symbol->name[0] ? ")" : "";
    if (beyond % symbol->scale != 0) {
      int64_t rest = symbol->offset % symbol->scale;
      if (rest)
        return FAIL(context,
                    "input '%s': dimension %d%s%s%s: expected %lld more than a "
                    "multiple of %lld but got %lld",
                    port->name, (int)symbol->dim, open, symbol->name, close,
                    (long long)rest, (long long)symbol->scale, (long long)size);
      return FAIL(context,
                  "input '%s': dimension %d%s%s%s: expected a multiple of %lld "
                  "but got %lld",
                  port->name, (int)symbol->dim, open, symbol->name, close,
                  (long long)symbol->scale, (long long)size);
    }
    if (value < symbol->least || value > symbol->largest) {
      int64_t low = symbol->least * symbol->scale + symbol->offset;
      if (symbol->largest == INT64_MAX)
        return FAIL(context,
                    "input '%s': dimension %d%s%s%s: expected at least %lld but "
                    "got %lld",
                    port->name, (int)symbol->dim, open, symbol->name, close,
                    (long long)low, (long long)size);
      return FAIL(
          context,
          "input '%s': dimension %d%s%s%s: expected %lld to %lld but got %lld",
          port->name, (int)symbol->dim, open, symbol->name, close,
          (long long)low,
          (long long)(symbol->largest * symbol->scale + symbol->offset),
          (long long)size);
    }
    context->frame.symbols[i] = value;
  }
  return HR_OK;
}

enum { SIZES_SIZE = MESSAGE_SIZE / 4 };

/** Writes the sizes of a call, `x.shape[0] = 6, ...`: those that occur in
    `only`, or all. */
static void describe_sizes(const hr_entry *entry, const hr_size *only,
                           const DLTensor *inputs, char *to) {
  size_t used = 0;
  to[0] = 0;
  for (int64_t i = 0; i < entry->num_symbols; ++i) {
    const hr_symbol *symbol = &entry->symbols[i];
    bool occurs = !only;
    for (int64_t k = 0; only && k < only->length; ++k)
      occurs |= only->code[2 * k] == HR_SIZE_SYMBOL && only->code[2 * k + 1] == i;
    if (!occurs || used + 1 >= SIZES_SIZE)
      continue;
    const char *comma = used ? ", " : "";
    long long size = inputs[symbol->input].shape[symbol->dim];
    int wrote = symbol->name[0]
                    ? snprintf(to + used, SIZES_SIZE - used, "%s%s = %lld",
                               comma, symbol->name, size)
                    : snprintf(to + used, SIZES_SIZE - used,
                               "%s%s.shape[%d] = %lld", comma,
                               entry->inputs[symbol->input].name,
                               (int)symbol->dim, size);
    if (wrote > 0)
      used += (size_t)wrote;
  }
}

static int check_requirements(hr_context *context, const hr_entry *entry,
                              const DLTensor *inputs) {
  for (int64_t i = 0; i < entry->num_requirements; ++i) {
    const hr_requirement *requirement = &entry->requirements[i];
    int64_t value;
    if (evaluate(&requirement->condition, context->frame.symbols, &value) &&
        value >= 0)
      continue;
    char sizes[SIZES_SIZE];
    describe_sizes(entry, &requirement->condition, inputs, sizes);
    return FAIL(context, "expected sizes with %s%s%s%s, but got %s",
                requirement->text, requirement->where[0] ? " (" : "",
                requirement->where, requirement->where[0] ? ")" : "", sizes);
  }
  return HR_OK;
}

static int check_inputs(hr_context *context, uint32_t number,
                        const DLTensor *inputs, uint32_t num_inputs,
                        const DLTensor *outputs, uint32_t num_outputs) {
  context->message[0] = 0;
  if (number >= hr_rt_image.num_entries)
    return FAIL(context, "expected an entry below %d but got %u",
                (int)hr_rt_image.num_entries, number);
  const hr_entry *entry = &hr_rt_image.entries[number];
  if (num_inputs != entry->num_inputs)
    return FAIL(context, "entry '%s': expected %d inputs but got %u",
                entry->name, (int)entry->num_inputs, num_inputs);
  if (num_outputs != entry->num_outputs)
    return FAIL(context, "entry '%s': expected %d outputs but got %u",
                entry->name, (int)entry->num_outputs, num_outputs);
  if ((num_inputs && !inputs) || (num_outputs && !outputs))
    return FAIL(context, "entry '%s': no tensors given", entry->name);
  int status;
  for (uint32_t i = 0; i < num_inputs; ++i)
    if ((status = check_port(context, "input", &entry->inputs[i], &inputs[i])))
      return status;
  if ((status = bind_symbols(context, entry, inputs)))
    return status;
  int64_t bytes;
  for (uint32_t i = 0; i < num_inputs; ++i)
    if ((status = check_sizes(context, "input", &entry->inputs[i], &inputs[i],
                              &context->frame.inputs[i], &bytes)))
      return status;
  return check_requirements(context, entry, inputs);
}

/** Fills in what an output is, apart from its data. */
static int describe_output(hr_context *context, const hr_port *port,
                           int64_t *shape, DLTensor *output, int64_t *bytes) {
  *bytes = (port->dtype >> 8) / 8;
  for (int64_t d = 0; d < port->rank; ++d)
    if (!evaluate(&port->dims[d], context->frame.symbols, &shape[d]) ||
        shape[d] < 0 || __builtin_mul_overflow(*bytes, shape[d], bytes))
      return FAIL(context, "output '%s': dimension %d (%s) cannot be computed",
                  port->name, (int)d, port->dims[d].text);
  output->device.device_type = kDLCPU;
  output->device.device_id = 0;
  output->ndim = (int32_t)port->rank;
  output->dtype.code = port->dtype & 0xff;
  output->dtype.bits = (uint8_t)(port->dtype >> 8);
  output->dtype.lanes = 1;
  output->shape = shape;
  output->strides = 0;
  output->byte_offset = 0;
  return HR_OK;
}

int hr_rt_infer(hr_context *context, uint32_t number, const DLTensor *inputs,
                uint32_t num_inputs, DLTensor *outputs, uint32_t num_outputs) {
  int status =
      check_inputs(context, number, inputs, num_inputs, outputs, num_outputs);
  if (status)
    return status;
  const hr_entry *entry = &hr_rt_image.entries[number];
  int64_t *shape = context->shapes;
  for (uint32_t i = 0; i < num_outputs; ++i) {
    int64_t bytes;
    if ((status = describe_output(context, &entry->outputs[i], shape,
                                  &outputs[i], &bytes)))
      return status;
    shape += entry->outputs[i].rank;
  }
  return HR_OK;
}

static bool overlap(const void *a, int64_t a_bytes, const void *b,
                    int64_t b_bytes) {
  uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
  return x < y + (uintptr_t)b_bytes && y < x + (uintptr_t)a_bytes;
}

static int64_t tensor_bytes(const DLTensor *tensor) {
  int64_t bytes = tensor->dtype.bits / 8;
  for (int32_t d = 0; d < tensor->ndim; ++d)
    bytes *= tensor->shape[d];
  return bytes;
}

/** Places every output; those of the context in `results`, by rising number. */
static int place_outputs(hr_context *context, const hr_entry *entry,
                         const DLTensor *inputs, DLTensor *outputs) {
  int status;
  int64_t own = 0, bytes;
  for (int64_t i = 0; i < entry->num_outputs; ++i) {
    const hr_port *port = &entry->outputs[i];
    void **at = &context->frame.outputs[i];
    if (!outputs[i].data)
      continue;
    if ((status = check_port(context, "output", port, &outputs[i])) ||
        (status = check_sizes(context, "output", port, &outputs[i], at,
                              &bytes)))
      return status;
    for (int64_t k = 0; k < entry->num_inputs; ++k)
      if (overlap(*at, bytes, context->frame.inputs[k],
                  tensor_bytes(&inputs[k])))
        return FAIL(context, "output '%s' overlaps input '%s' in memory",
                    port->name, entry->inputs[k].name);
    for (int64_t k = 0; k < i; ++k)
      if (outputs[k].data && overlap(*at, bytes, context->frame.outputs[k],
                                     tensor_bytes(&outputs[k])))
        return FAIL(context, "output '%s' overlaps output '%s' in memory",
                    port->name, entry->outputs[k].name);
  }
  /* Only now are the caller's structs written. First the total, so that the
     region need not move once addresses are handed out. */
  region *results = &context->results[context->turn ^= 1];
  for (int pass = 0; pass < 2; ++pass) {
    int64_t *shape = context->shapes;
    own = 0;
    for (int64_t i = 0; i < entry->num_outputs; ++i) {
      const hr_port *port = &entry->outputs[i];
      DLTensor described;
      if (!outputs[i].data) {
        if ((status = describe_output(context, port, shape, &described, &bytes)))
          return status;
        if (pass) {
          context->frame.outputs[i] = results->at + own;
          described.data = context->frame.outputs[i];
          outputs[i] = described;
        }
        own = saturating_add(own, align_up(bytes));
      }
      shape += port->rank;
    }
    if (!pass && !ensure(results, own ? own : 1))
      return hr_fail((hr_message){context->message, MESSAGE_SIZE},
                     HR_ERROR_SYSTEM, "out of memory for %lld bytes of outputs",
                     (long long)own);
  }
  return HR_OK;
}

/*===----------------------------------------------------------------------===*\
 * Runs
\*===----------------------------------------------------------------------===*/

static void work(void *argument, uint32_t worker) {
  hr_context *context = argument;
  context->schedule->timeline(&context->frame, worker);
}

/** What the frame's error says. */
static int fail_on_data(hr_context *context) {
  const hr_frame *frame = &context->frame;
  const hr_site *site = &hr_rt_image.sites[frame->error_site];
  hr_message message = {context->message, MESSAGE_SIZE};
  if (!site->ranged)
    return hr_fail(message, HR_ERROR_DATA, "%s: %s: %s", site->where,
                   site->what, site->message);
  if (frame->error_bound <= 0)
    return hr_fail(message, HR_ERROR_DATA,
                   "%s: %s: %s %lld is out of range: there are no elements",
                   site->where, site->what, site->message,
                   (long long)frame->error_value);
  return hr_fail(message, HR_ERROR_DATA,
                 "%s: %s: %s %lld is out of range, expected 0 to %lld",
                 site->where, site->what, site->message,
                 (long long)frame->error_value,
                 (long long)frame->error_bound - 1);
}

/* The number of the first element that is not in [low, low + range); `count` if
   there is none. The loop has no exit, so that it is vectorized. */
#define DEFINE_FIND_OUTSIDE(name, type)                                        \
  static int64_t name(const type *values, int64_t count, int64_t low,          \
                      uint64_t range) {                                        \
    int bad = 0;                                                               \
    for (int64_t i = 0; i < count; ++i)                                        \
      bad |= (uint64_t)values[i] - (uint64_t)low >= range;                     \
    for (int64_t i = 0; bad && i < count; ++i)                                 \
      if ((uint64_t)values[i] - (uint64_t)low >= range)                        \
        return i;                                                              \
    return count;                                                              \
  }
DEFINE_FIND_OUTSIDE(find_outside_32, int32_t)
DEFINE_FIND_OUTSIDE(find_outside_64, int64_t)

/** The indices that are inputs. */
static int check_indices(hr_context *context, const hr_entry *entry,
                         const DLTensor *inputs) {
  hr_frame *frame = &context->frame;
  for (int64_t i = 0; i < entry->num_checks; ++i) {
    const hr_index_check *check = &entry->checks[i];
    const DLTensor *input = &inputs[check->input];
    int64_t bound, count = 1, at;
    if (!evaluate(&check->bound, frame->symbols, &bound))
      return FAIL(context, "input '%s': its range (%s) cannot be computed",
                  entry->inputs[check->input].name, check->bound.text);
    for (int32_t d = 0; d < input->ndim; ++d)
      count *= input->shape[d];
    int64_t low = check->wrap ? -bound : 0;
    const void *values = frame->inputs[check->input];
    bool wide = input->dtype.bits == 64;
    at = wide ? find_outside_64(values, count, low, (uint64_t)(bound - low))
              : find_outside_32(values, count, low, (uint64_t)(bound - low));
    if (at == count)
      continue;
    frame->error_site = check->site;
    frame->error_value = wide ? ((const int64_t *)values)[at]
                              : ((const int32_t *)values)[at];
    frame->error_bound = bound;
    return fail_on_data(context);
  }
  return HR_OK;
}

static int run(hr_context *context, uint32_t number, const DLTensor *inputs,
               uint32_t num_inputs, DLTensor *outputs, uint32_t num_outputs) {
  int status =
      check_inputs(context, number, inputs, num_inputs, outputs, num_outputs);
  if (status)
    return status;
  const hr_entry *entry = &hr_rt_image.entries[number];
  if ((status = check_indices(context, entry, inputs)) ||
      (status = place_outputs(context, entry, inputs, outputs)))
    return status;

  uint32_t workers = context->num_workers;
  if (workers > 1 && context->pool->operations->available(context->pool) < workers)
    workers = 1;
  const hr_schedule *schedule =
      workers == 1 ? &entry->schedules[0]
                   : choose_schedule(entry, workers, get_work(context, entry));
  workers = (uint32_t)schedule->workers;

  int64_t arena, scratch = align_up(schedule->scratch_stride * workers);
  if (!evaluate(&schedule->arena, context->frame.symbols, &arena))
    arena = INT64_MAX;
  if (!ensure(&context->arena, saturating_add(arena, scratch))) {
    char sizes[SIZES_SIZE];
    describe_sizes(entry, 0, inputs, sizes);
    return hr_fail((hr_message){context->message, MESSAGE_SIZE},
                   HR_ERROR_SYSTEM,
                   "out of memory: an arena of %lld bytes is needed%s%s, this "
                   "process can have %lld",
                   (long long)arena, sizes[0] ? " for " : "", sizes,
                   (long long)hr_available_memory());
  }
  hr_frame *frame = &context->frame;
  frame->scratch = context->arena.at;
  frame->arena = context->arena.at + scratch;
  frame->error_state = 0;
  keep_state(context, entry, /*back=*/false);
  context->schedule = schedule;
  hr_profile *profile = context->profile;
  if (profile) {
    if (profile->timelines && profile->num_timelines < workers)
      return FAIL(context, "expected a profile with %u timelines but got %u",
                  workers, profile->num_timelines);
    for (uint32_t i = 0; profile->timelines && i < workers; ++i)
      profile->timelines[i].count = 0;
    frame->profile = profile->timelines;
    profile->workers = workers;
    profile->begin_ns = hr_clock();
  }

  if (workers == 1) {
    uint64_t saved = hr_enter_float_mode();
    schedule->timeline(frame, 0);
    hr_leave_float_mode(saved);
  } else {
    for (uint32_t i = 0; i < workers; ++i)
      frame->bases[i] = frame->counters[i].value;
    uint64_t saved = hr_enter_float_mode();
    context->pool->operations->run(context->pool, workers, work, context);
    hr_leave_float_mode(saved);
  }

  if (profile)
    profile->end_ns = hr_clock();

  if (!frame->error_state)
    return HR_OK;
  keep_state(context, entry, /*back=*/true);
  return fail_on_data(context);
}

int hr_rt_run(hr_context *context, uint32_t number, const DLTensor *inputs,
              uint32_t num_inputs, DLTensor *outputs, uint32_t num_outputs) {
  if (!enter(context))
    return HR_ERROR_ARGUMENT;
  int status =
      context->is_torn
          ? hr_fail((hr_message){context->message, MESSAGE_SIZE},
                    HR_ERROR_SYSTEM,
                    "the process was forked during a call of this context, "
                    "which left its state half written: reset it, or use "
                    "another context")
          : run(context, number, inputs, num_inputs, outputs, num_outputs);
  leave(context);
  return status;
}
