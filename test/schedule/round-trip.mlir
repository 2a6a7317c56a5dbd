// RUN: headrace-opt %s --verify-roundtrip | FileCheck %s
// RUN: headrace-opt %s --mlir-print-op-generic | headrace-opt | FileCheck %s

// Rows are split over the workers, so each reads what it wrote: no wait.

// CHECK-LABEL: sched.program @rows_2 of @rows workers 2 {
// CHECK-NEXT:    arena @dram = 786432 lower_bound 786432
// CHECK-NEXT:    %[[X:.+]] = buffer input 0 [128, 384] f32
// CHECK-NEXT:    %[[W1:.+]] = buffer const [@w1] [24, 384, 64] f32
// CHECK-NEXT:    %[[W2:.+]] = buffer const [@w2] [6, 1536, 64] f32
// CHECK-NEXT:    %[[H:.+]] = buffer temp [128, 1536] f32 at @dram + 0
// CHECK-NEXT:    %[[Y:.+]] = buffer output 0 [128, 384] f32
// CHECK-NEXT:    stage @A grid [8] operands
// CHECK-SAME:      [read (d0) -> (d0 * 16, 0) by [16, 384], read whole, write (d0) -> (d0 * 16, 0) by [16, 1536]]
// CHECK-NEXT:    stage @B function @ffn_down grid [8] operands
// CHECK:         timeline @core[w : 2] {
// CHECK-NEXT:      run @A tiles [4 * w, 4 * w + 4) (%[[X]], %[[W1]] -> %[[H]])
// CHECK-NEXT:      run @B tiles [4 * w, 4 * w + 4) (%[[H]], %[[X]], %[[W2]] -> %[[Y]])
// CHECK-NEXT:    }
sched.program @rows_2 of @rows workers 2 {
  arena @dram = 786432 lower_bound 786432
  %x = buffer input 0 [128, 384] f32
  %W1 = buffer const [@w1] [24, 384, 64] f32
  %W2 = buffer const [@w2] [6, 1536, 64] f32
  %h = buffer temp [128, 1536] f32 at @dram + 0
  %y = buffer output 0 [128, 384] f32
  stage @A grid [8] operands [read (d0) -> (d0 * 16, 0) by [16, 384],
    read whole, write (d0) -> (d0 * 16, 0) by [16, 1536]]
  stage @B function @ffn_down grid [8] operands [
    read (d0) -> (d0 * 16, 0) by [16, 1536],
    read (d0) -> (d0 * 16, 0) by [16, 384],
    read whole, write (d0) -> (d0 * 16, 0) by [16, 384]]
  timeline @core[w : 2] {
    run @A tiles [4 * w, 4 * w + 4) (%x, %W1 -> %h)
    run @B tiles [4 * w, 4 * w + 4) (%h, %x, %W2 -> %y)
  }
}

// Symbols, repeat, slots, every form of wait.

// CHECK-LABEL: sched.program @layers_4 of @layers workers 4
// CHECK-SAME:    symbols [#hr.symbol<"s0", 1, 512>] scratch 4096 fences {non_temporal = "sfence"} {
// CHECK:         arena @dram = 3072 * s0
// CHECK:         buffer temp slots 2 [s0, 384] f32 at @dram + 0 stride 1536 * s0
// CHECK:         stage @A grid [(s0 + 31) floordiv 32] operands
// CHECK-SAME:      read whole touching 32 * s0, write
// CHECK-SAME:      symbols ["s0"] scratch 4096 stores non_temporal flops 1000 * s0 compute 12000 * s0
// CHECK:         timeline @core[w : 4] {
// CHECK-NEXT:      repeat 12 (i) {
// CHECK-NEXT:        wait @core[*] >= 2 * i
// CHECK-NEXT:        run @A tiles [(w * ((s0 + 31) floordiv 32)) floordiv 4, (w * ((s0 + 31) floordiv 32) + ((s0 + 31) floordiv 32)) floordiv 4) (%temp[i mod 2], %const[i] -> %temp[(i + 1) mod 2]) parts 2 fence "sfence"
// CHECK-NEXT:      }
// CHECK-NEXT:      wait @core[w - 1, w + 2) >= 24
// CHECK-NEXT:      wait @core[3] >= 24 by [0, 3)
// CHECK-NEXT:    }
// CHECK-NEXT:    timeline @dma[m : 1] mover {
// CHECK-NEXT:      wait @core[*] >= 24
// CHECK-NEXT:      copy %temp from [0, 0] -> %output0 from [0, 0] extent [s0, 384] fence "fence"
sched.program @layers_4 of @layers workers 4
    symbols [#hr.symbol<"s0", 1, 512>] scratch 4096
    fences {non_temporal = "sfence"} {
  arena @dram = 3072 * s0
  %w = buffer const [@w0, @w1, @w2, @w3, @w4, @w5, @w6, @w7, @w8, @w9, @w10, @w11] [384] f32
  %x = buffer temp slots 2 [s0, 384] f32 at @dram + 0 stride 1536 * s0
  %y = buffer output 0 [s0, 384] f32
  stage @A grid [(s0 + 31) floordiv 32] operands [
    read (d0) -> (d0 * 32, 0) by [32, 384], read whole touching 32 * s0,
    write (d0) -> (d0 * 32, 0) by [32, 384]]
    symbols ["s0"] scratch 4096 stores non_temporal flops 1000 * s0 compute 12000 * s0
  timeline @core[w : 4] {
    repeat 12 (i) {
      wait @core[*] >= 2 * i
      run @A tiles [(w * ((s0 + 31) floordiv 32)) floordiv 4, ((w + 1) * ((s0 + 31) floordiv 32)) floordiv 4)
        (%x[i mod 2], %w[i] -> %x[(i + 1) mod 2]) parts 2 fence "sfence"
    }
    wait @core[w - 1, w + 2) >= 24
    wait @core[3] >= 24 by [0, 3)
  }
  timeline @dma[m : 1] mover {
    wait @core[*] >= 24
    copy %x from [0, 0] -> %y from [0, 0] extent [s0, 384] fence "fence"
  }
}

// What is updated in place.

// CHECK-LABEL: sched.program @update_1
// CHECK:         stage @A grid [1] operands [read whole, write whole] flops 8 keeps [1]
sched.program @update_1 of @update workers 1 {
  %x = buffer input 0 [4] f32
  %y = buffer temp [4] f32
  stage @A grid [1] operands [read whole, write whole] flops 8 keeps [1]
  timeline @core[w : 1] {
    run @A tiles [0, 1) (%x -> %y)
  }
}
