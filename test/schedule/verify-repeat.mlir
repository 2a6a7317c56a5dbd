// RUN: headrace-opt %s --sched-verify -verify-diagnostics
// RUN: headrace-opt %s --sched-verify=full-expansion=true -verify-diagnostics

// In every iteration the second stage reads what the other worker wrote, and
// waits for it. But nothing keeps the first stage of the next iteration from
// overwriting what the other worker has not read yet.

sched.program @repeat_2 of @repeat workers 2 {
  %x = buffer input 0 [8, 8] f32
  %h = buffer temp [8, 8] f32
  %y = buffer output 0 [8, 8] f32
  stage @rows grid [8] operands [read (d0) -> (d0, 0) by [1, 8],
    write (d0) -> (d0, 0) by [1, 8]]
  stage @columns grid [8] operands [read (d0) -> (0, d0) by [8, 1],
    write (d0) -> (0, d0) by [8, 1]]
  timeline @core[w : 2] {
    repeat 100 (i) {
      // expected-error @+1 {{race on %temp [0, 4) x [4, 8): 'run @rows tiles [0, 4) of @core[0], iteration 1' writes what 'run @columns tiles [4, 8) of @core[1], iteration 0' reads; missing before the former: wait @core[1] >= 2}}
      run @rows tiles [4 * w, 4 * w + 4) (%x -> %h)
      wait @core[1 - w] >= 2 * i + 1
      // expected-note @+1 {{the other}}
      run @columns tiles [4 * w, 4 * w + 4) (%h -> %y)
    }
  }
}
