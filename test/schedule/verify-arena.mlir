// RUN: headrace-opt %s --sched-verify -split-input-file -verify-diagnostics

// expected-error @+1 {{%temp takes bytes [64, 320) of arena @dram, which has 256}}
sched.program @outside_1 of @outside workers 1 {
  arena @dram = 256
  %p = buffer temp [64] f32 at @dram + 64
  timeline @core[w : 1] {
  }
}

// -----

// expected-error @+1 {{%temp lies at byte 32 stride 0, which is not a multiple of 64}}
sched.program @unaligned_1 of @unaligned workers 1 {
  arena @dram = 512
  %p = buffer temp [64] f32 at @dram + 32
  timeline @core[w : 1] {
  }
}
