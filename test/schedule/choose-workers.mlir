// A call takes several workers from the sizes on at which they are predicted to be
// faster, waking and waiting included.
// RUN: headrace-opt %s --sched-choose-workers="target=generic-x86-64-v3" | FileCheck %s

// Too little for two, at the one size that it has.

// CHECK: sched.program @small_1 of @small workers 1 work [[W:[0-9]+]] from 0 {
// CHECK: sched.program @small_2 of @small workers 2 work [[W]] from 9223372036854775807 {
sched.program @small_1 of @small workers 1 {
  %x = buffer input 0 [16, 16] f32
  %y = buffer output 0 [16, 16] f32
  stage @S grid [16] operands [read (d0) -> (d0, 0) by [1, 16],
    write (d0) -> (d0, 0) by [1, 16]] flops 8192
  timeline @core[w : 1] {
    run @S tiles [0, 16) (%x -> %y)
  }
}
sched.program @small_2 of @small workers 2 {
  %x = buffer input 0 [16, 16] f32
  %y = buffer output 0 [16, 16] f32
  stage @S grid [16] operands [read (d0) -> (d0, 0) by [1, 16],
    write (d0) -> (d0, 0) by [1, 16]] flops 8192
  timeline @core[w : 2] {
    run @S tiles [8 * w, 8 * w + 8) (%x -> %y)
  }
}

// Enough at any size.

// CHECK: sched.program @large_1 {{.*}} from 0 {
// CHECK: sched.program @large_2 {{.*}} from [[LEAST:[0-9]+]] {
sched.program @large_1 of @large workers 1 {
  %x = buffer input 0 [16, 16] f32
  %y = buffer output 0 [16, 16] f32
  stage @S grid [16] operands [read (d0) -> (d0, 0) by [1, 16],
    write (d0) -> (d0, 0) by [1, 16]] flops 8192000000
  timeline @core[w : 1] {
    run @S tiles [0, 16) (%x -> %y)
  }
}
sched.program @large_2 of @large workers 2 {
  %x = buffer input 0 [16, 16] f32
  %y = buffer output 0 [16, 16] f32
  stage @S grid [16] operands [read (d0) -> (d0, 0) by [1, 16],
    write (d0) -> (d0, 0) by [1, 16]] flops 8192000000
  timeline @core[w : 2] {
    run @S tiles [8 * w, 8 * w + 8) (%x -> %y)
  }
}

// It depends on the size. Once waking them is worth it, it is for all.

// CHECK: sched.program @rows_1 of @rows workers 1 {{.*}} work [[ROW:[0-9]+]] * n from 0 {
// CHECK: sched.program @rows_2 of @rows workers 2 {{.*}} work [[ROW]] * n from [[MANY:[1-9][0-9]+]] {
// CHECK: sched.program @rows_4 of @rows workers 4 {{.*}} work [[ROW]] * n from [[MANY]] {
sched.program @rows_1 of @rows workers 1 symbols [#hr.symbol<"n", 1, 65536>] {
  %x = buffer input 0 [n, 256] f32
  %y = buffer output 0 [n, 256] f32
  stage @S grid [n] operands [read (d0) -> (d0, 0) by [1, 256],
    write (d0) -> (d0, 0) by [1, 256]] flops 131072 * n
  timeline @core[w : 1] {
    run @S tiles [0, n) (%x -> %y)
  }
}
sched.program @rows_2 of @rows workers 2 symbols [#hr.symbol<"n", 1, 65536>] {
  %x = buffer input 0 [n, 256] f32
  %y = buffer output 0 [n, 256] f32
  stage @S grid [n] operands [read (d0) -> (d0, 0) by [1, 256],
    write (d0) -> (d0, 0) by [1, 256]] flops 131072 * n
  timeline @core[w : 2] {
    run @S tiles [w * n floordiv 2, (w + 1) * n floordiv 2) (%x -> %y)
  }
}
sched.program @rows_4 of @rows workers 4 symbols [#hr.symbol<"n", 1, 65536>] {
  %x = buffer input 0 [n, 256] f32
  %y = buffer output 0 [n, 256] f32
  stage @S grid [n] operands [read (d0) -> (d0, 0) by [1, 256],
    write (d0) -> (d0, 0) by [1, 256]] flops 131072 * n
  timeline @core[w : 4] {
    run @S tiles [w * n floordiv 4, (w + 1) * n floordiv 4) (%x -> %y)
  }
}
