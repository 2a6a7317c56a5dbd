// RUN: headrace-opt %s --sched-verify="target=nvidia-h200" -split-input-file -verify-diagnostics

// What a worker hands from nest to nest has to have room where it lies: in a
// memory of its own, or beside the arena.

// expected-error @+1 {{each worker needs 300000 bytes of scratch but @smem has 232448}}
sched.program @large_1 of @large workers 1 scratch 300000 in @smem {
  timeline @sm[w : 1] {
  }
}

// -----

// expected-error @+1 {{scratch is in @l9, a memory that worker 'sm' does not have}}
sched.program @unknown_1 of @unknown workers 1 scratch 64 in @l9 {
  timeline @sm[w : 1] {
  }
}

// -----

// expected-error @+1 {{arena and scratch need 160000000256 bytes but @hbm has 141000000000}}
sched.program @beside_2 of @beside workers 2 scratch 80000000000 {
  arena @hbm = 256
  timeline @sm[w : 2] {
  }
}

// -----

sched.program @fits_1 of @fits workers 1 scratch 200000 in @smem {
  timeline @sm[w : 1] {
  }
}
