// RUN: headrace-opt %s --sched-verify -verify-diagnostics

// Too many iterations to look at each; said, not tried.

// expected-error @+1 {{more than 1048576 commands}}
sched.program @large_1 of @large workers 1 {
  %y = buffer output 0 [8] f32
  stage @A grid [8] operands [write (d0) -> (d0) by [1]]
  timeline @core[w : 1] {
    repeat 1000000000 (i) {
      run @A tiles [0, 8) (-> %y)
    }
  }
}
