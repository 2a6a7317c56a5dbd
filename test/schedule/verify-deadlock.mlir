// RUN: headrace-opt %s --sched-verify -verify-diagnostics

// Both wait for what the other does only afterwards.

sched.program @deadlock_2 of @deadlock workers 2 {
  %y = buffer output 0 [2] f32
  stage @A grid [2] operands [write (d0) -> (d0) by [1]]
  timeline @core[w : 2] {
    // expected-error @+2 {{deadlock: 'wait @core[1] >= 1 of @core[0]' never goes on, the other stands at 0 before 'wait @core[0] >= 1 of @core[1]'}}
    // expected-note @+1 {{waits here}}
    wait @core[1 - w] >= 1
    run @A tiles [w, w + 1) (-> %y)
  }
}
