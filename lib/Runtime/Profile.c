/*===- Profile.c - When commands begin and end ----------------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Every worker writes its own records. The clock is read in the process (vDSO)
|* wherever the system can.
|*
\*===----------------------------------------------------------------------===*/
#include "Runtime.h"

uint64_t hr_clock(void) {
  struct {
    int64_t seconds, nanoseconds;
  } now = {0, 0};
  clock_gettime(1 /* CLOCK_MONOTONIC */, &now);
  return (uint64_t)now.seconds * 1000000000u + (uint64_t)now.nanoseconds;
}

static hr_profile_record *current(const hr_profile_timeline *timeline) {
  return timeline->count < timeline->capacity
             ? &timeline->records[timeline->count]
             : 0;
}

void hr_profile_begin(hr_frame *frame, int64_t worker, int64_t command,
                      int64_t iteration) {
  hr_profile_timeline *timeline =
      (hr_profile_timeline *)frame->profile + worker;
  hr_profile_record *record = current(timeline);
  if (!record)
    return;
  record->command = (uint32_t)command;
  record->iteration = (uint32_t)iteration;
  record->begin_ns = hr_clock();
}

void hr_profile_end(hr_frame *frame, int64_t worker) {
  hr_profile_timeline *timeline =
      (hr_profile_timeline *)frame->profile + worker;
  hr_profile_record *record = current(timeline);
  if (record)
    record->end_ns = hr_clock();
  ++timeline->count;
}
