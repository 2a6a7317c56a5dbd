// RUN: headrace-opt %s --sched-verify -split-input-file -verify-diagnostics

// Cut alike for every size: no wait.

sched.program @alike_2 of @alike workers 2 symbols [#hr.symbol<"s0", 1, 512>] {
  %x = buffer input 0 [s0] f32
  %h = buffer temp [s0] f32
  %y = buffer output 0 [s0] f32
  stage @A grid [(s0 + 31) floordiv 32] operands [
    read (d0) -> (d0 * 32) by [32], write (d0) -> (d0 * 32) by [32]]
  timeline @core[w : 2] {
    run @A tiles [(w * ((s0 + 31) floordiv 32)) floordiv 2, ((w + 1) * ((s0 + 31) floordiv 32)) floordiv 2) (%x -> %h)
    run @A tiles [(w * ((s0 + 31) floordiv 32)) floordiv 2, ((w + 1) * ((s0 + 31) floordiv 32)) floordiv 2) (%h -> %y)
  }
}

// -----

// The first stage is cut in the middle of its tiles of 32, the second in the
// middle of tiles of 16: not at the same index for all sizes.

sched.program @differ_2 of @differ workers 2 symbols [#hr.symbol<"s0", 1, 512>] {
  %x = buffer input 0 [s0] f32
  %h = buffer temp [s0] f32
  %y = buffer output 0 [s0] f32
  stage @A grid [(s0 + 31) floordiv 32] operands [
    read (d0) -> (d0 * 32) by [32], write (d0) -> (d0 * 32) by [32]]
  stage @B grid [(s0 + 15) floordiv 16] operands [
    read (d0) -> (d0 * 16) by [16], write (d0) -> (d0 * 16) by [16]]
  timeline @core[w : 2] {
    // expected-note @+1 {{the other}}
    run @A tiles [(w * ((s0 + 31) floordiv 32)) floordiv 2, ((w + 1) * ((s0 + 31) floordiv 32)) floordiv 2) (%x -> %h)
    // expected-error @+1 {{for some sizes, race on %temp}}
    run @B tiles [(w * ((s0 + 15) floordiv 16)) floordiv 2, ((w + 1) * ((s0 + 15) floordiv 16)) floordiv 2) (%h -> %y)
  }
}
