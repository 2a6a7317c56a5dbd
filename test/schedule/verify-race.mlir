// RUN: headrace-opt %s --sched-verify -split-input-file -verify-diagnostics

// The second stage reads columns of what the first wrote by rows, so half of it
// comes from the other worker, and nothing waits for it.

sched.program @race_2 of @race workers 2 {
  %x = buffer input 0 [8, 8] f32
  %h = buffer temp [8, 8] f32
  %y = buffer output 0 [8, 8] f32
  stage @rows grid [8] operands [read (d0) -> (d0, 0) by [1, 8],
    write (d0) -> (d0, 0) by [1, 8]]
  stage @columns grid [8] operands [read (d0) -> (0, d0) by [8, 1],
    write (d0) -> (0, d0) by [8, 1]]
  timeline @core[w : 2] {
    // expected-note @+1 {{the other}}
    run @rows tiles [4 * w, 4 * w + 4) (%x -> %h)
    // expected-error @+1 {{race on %temp [4, 8) x [0, 4): 'run @columns tiles [0, 4) of @core[0]' reads what 'run @rows tiles [4, 8) of @core[1]' writes; missing before the former: wait @core[1] >= 1}}
    run @columns tiles [4 * w, 4 * w + 4) (%h -> %y)
  }
}

// -----

// With the wait it is right.

sched.program @right_2 of @right workers 2 {
  %x = buffer input 0 [8, 8] f32
  %h = buffer temp [8, 8] f32
  %y = buffer output 0 [8, 8] f32
  stage @rows grid [8] operands [read (d0) -> (d0, 0) by [1, 8],
    write (d0) -> (d0, 0) by [1, 8]]
  stage @columns grid [8] operands [read (d0) -> (0, d0) by [8, 1],
    write (d0) -> (0, d0) by [8, 1]]
  timeline @core[w : 2] {
    run @rows tiles [4 * w, 4 * w + 4) (%x -> %h)
    wait @core[1 - w] >= 1
    run @columns tiles [4 * w, 4 * w + 4) (%h -> %y)
  }
}
