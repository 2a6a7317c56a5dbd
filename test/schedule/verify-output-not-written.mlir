// RUN: headrace-opt %s --sched-verify -verify-diagnostics

// One tile is missing.

// expected-error @+1 {{nothing writes %output0 [7, 8) of the output}}
sched.program @output_1 of @output workers 1 {
  %y = buffer output 0 [8] f32
  stage @A grid [8] operands [write (d0) -> (d0) by [1]]
  timeline @core[w : 1] {
    run @A tiles [0, 7) (-> %y)
  }
}
