// RUN: headrace-opt %s --sched-assign-offsets --sched-verify | FileCheck %s
// RUN: headrace-opt %s --sched-assign-offsets=remarks=true -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Of three in a row, the first and the last never hold anything at once:
// max(256 + 512, 512 + 128) bytes.

// REMARK: remark: arena @dram takes 768 bytes, lower bound 768, none is smaller

// CHECK-LABEL: sched.program @chain_1
// CHECK-NEXT:    arena @dram = 768 lower_bound 768
// CHECK:         buffer temp [64] f32 at @dram + 512
// CHECK-NEXT:    buffer temp [128] f32 at @dram + 0
// CHECK-NEXT:    buffer temp [32] f32 at @dram + 512
sched.program @chain_1 of @chain workers 1 {
  arena @dram
  %x = buffer input 0 [64] f32
  %a = buffer temp [64] f32 at @dram
  %b = buffer temp [128] f32 at @dram
  %c = buffer temp [32] f32 at @dram
  %y = buffer output 0 [64] f32
  stage @xa grid [1] operands [read (d0) -> (0) by [64], write (d0) -> (0) by [64]]
  stage @ab grid [1] operands [read (d0) -> (0) by [64], write (d0) -> (0) by [128]]
  stage @bc grid [1] operands [read (d0) -> (0) by [128], write (d0) -> (0) by [32]]
  stage @cy grid [1] operands [read (d0) -> (0) by [32], write (d0) -> (0) by [64]]
  timeline @core[w : 1] {
    run @xa tiles [0, 1) (%x -> %a)
    run @ab tiles [0, 1) (%a -> %b)
    run @bc tiles [0, 1) (%b -> %c)
    run @cy tiles [0, 1) (%c -> %y)
  }
}

// Sizes that are not known: offsets are sums of those below. The two slots are
// 64 * s0 bytes apart.

// CHECK-LABEL: sched.program @symbolic_1
// CHECK-NEXT:    arena @dram = 192 * s0 lower_bound 192 * s0
// CHECK:         buffer temp slots 2 [s0, 16] f32 at @dram + {{.*}} stride 64 * s0
sched.program @symbolic_1 of @symbolic workers 1 symbols [#hr.symbol<"s0", 1, 512>] {
  arena @dram
  %x = buffer input 0 [s0, 16] f32
  %a = buffer temp slots 2 [s0, 16] f32 at @dram
  %b = buffer temp [s0, 16] f32 at @dram
  %y = buffer output 0 [s0, 16] f32
  stage @A grid [s0] operands [read (d0) -> (d0, 0) by [1, 16], write (d0) -> (d0, 0) by [1, 16]]
  stage @B grid [s0] operands [read (d0) -> (d0, 0) by [1, 16],
    read (d0) -> (d0, 0) by [1, 16], write (d0) -> (d0, 0) by [1, 16]]
  timeline @core[w : 1] {
    run @A tiles [0, s0) (%x -> %a)
    repeat 4 (i) {
      run @A tiles [0, s0) (%a[i mod 2] -> %b)
      run @B tiles [0, s0) (%b, %a[i mod 2] -> %a[(i + 1) mod 2])
    }
    run @A tiles [0, s0) (%a -> %y)
  }
}
