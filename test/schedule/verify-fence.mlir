// RUN: headrace-opt %s --sched-verify -verify-diagnostics

// A release store does not order non-temporal stores.

sched.program @fence_1 of @fence workers 1 fences {non_temporal = "sfence"} {
  %y = buffer output 0 [8] f32
  stage @A grid [8] operands [write (d0) -> (d0) by [1]] stores non_temporal
  timeline @core[w : 1] {
    run @A tiles [0, 4) (-> %y) fence "sfence"
    // expected-error @+1 {{the signal of run @A needs the fence "sfence" but has none}}
    run @A tiles [4, 8) (-> %y)
  }
}
