// RUN: headrace-opt %s --sched-verify -verify-diagnostics

sched.program @unwritten_1 of @unwritten workers 1 {
  %h = buffer temp [8] f32
  %y = buffer output 0 [8] f32
  stage @A grid [8] operands [read (d0) -> (d0) by [1], write (d0) -> (d0) by [1]]
  timeline @core[w : 1] {
    // expected-error @+1 {{reads %temp [0, 8), which nothing wrote before}}
    run @A tiles [0, 8) (%h -> %y)
  }
}
