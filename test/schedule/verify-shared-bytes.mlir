// RUN: headrace-opt %s --sched-verify -verify-diagnostics

// %p and %q lie at the same bytes while both are needed.

sched.program @shared_1 of @shared workers 1 {
  arena @dram = 256
  %x = buffer input 0 [64] f32
  %p = buffer temp [64] f32 at @dram + 0
  %q = buffer temp [64] f32 at @dram + 0
  %y = buffer output 0 [64] f32
  stage @A grid [1] operands [read (d0) -> (0) by [64], write (d0) -> (0) by [64]]
  stage @B grid [1] operands [read (d0) -> (0) by [64],
    read (d0) -> (0) by [64], write (d0) -> (0) by [64]]
  timeline @core[w : 1] {
    run @A tiles [0, 1) (%x -> %p)
    run @A tiles [0, 1) (%x -> %q)
    // expected-error @+1 {{'run @B tiles [0, 1) of @core[0]' reads %temp [0, 64), which was overwritten through %temp_0: both share bytes of arena @dram}}
    run @B tiles [0, 1) (%p, %q -> %y)
  }
}
