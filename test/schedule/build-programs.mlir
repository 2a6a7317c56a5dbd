// RUN: headrace-opt %s --sched-build-programs="target=generic-x86-64-v3 max-workers=2" --sched-assign-offsets --sched-verify | FileCheck %s

// An entry becomes a declaration, with one program per number of workers.

// CHECK-LABEL: func.func private @rows(tensor<128x64xf32>) -> tensor<128x64xf32> attributes {hr.entry}

// CHECK-LABEL: sched.program @rows_1 of @rows workers 1
// CHECK:         timeline @[[CORE:.+]][w : 1] {
// CHECK-NEXT:      run @rows_f tiles [0, 8) (%[[X:.+]] -> %[[H:.+]])
// CHECK-NEXT:      run @rows_f tiles [0, 8) (%[[H]] -> %[[Y:.+]])
// CHECK-NEXT:    }

// Cut alike: each worker reads what it wrote.

// CHECK-LABEL: sched.program @rows_2 of @rows workers 2 scratch 256
// CHECK:         timeline @{{.+}}[w : 2] {
// CHECK-NEXT:      run @rows_f tiles [4 * w, 4 * w + 4)
// CHECK-NEXT:      run @rows_f tiles [4 * w, 4 * w + 4)
// CHECK-NEXT:    }
#rows = #hr.footprint<(d0) -> (d0 * 16, 0), [#hr.size<"16">, #hr.size<"64">]>
#columns = #hr.footprint<(d0) -> (0, d0 * 8), [#hr.size<"128">, #hr.size<"8">]>
#first = affine_map<(i) -> (0)>
func.func @rows(%arg: tensor<128x64xf32>) -> tensor<128x64xf32> {
  %x = hr.buffer input number 0 dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  %h = hr.buffer temp dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  %y = hr.buffer output number 0 dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  hr.run @rows_f grid [#hr.size<"8">] (%x, %h) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#rows, #rows] symbols [] scratch 256
    : !hr.buffer<f32>, !hr.buffer<f32>
  hr.run @rows_f grid [#hr.size<"8">] (%h, %y) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#rows, #rows] symbols [] scratch 256
    : !hr.buffer<f32>, !hr.buffer<f32>
  return %arg : tensor<128x64xf32>
}

// In a loop, the second stage cut over columns: one wait for what was read, one
// before what the other still reads is overwritten.

// CHECK-LABEL: sched.program @loop_2
// CHECK:         timeline @{{.+}}[w : 2] {
// CHECK-NEXT:      run @loop_f tiles [4 * w, 4 * w + 4) (%[[IN:.+]] -> %[[C:.+]])
// CHECK-NEXT:      repeat 6 (i) {
// CHECK-NEXT:        wait @{{.+}}[*] >= 2 * i + 1
// CHECK-NEXT:        run @loop_g tiles [4 * w, 4 * w + 4) (%[[C]][i mod 2] -> %[[M:.+]])
// CHECK-NEXT:        wait @{{.+}}[*] >= 2 * i + 2
// CHECK-NEXT:        run @loop_f tiles [4 * w, 4 * w + 4) (%[[M]] -> %[[C]][(i + 1) mod 2])
// CHECK-NEXT:      }
// CHECK-NEXT:      run @loop_f tiles [4 * w, 4 * w + 4) (%[[C]] -> %{{.+}})
// CHECK-NEXT:    }
#even = affine_map<(i) -> (i mod 2)>
#odd = affine_map<(i) -> ((i + 1) mod 2)>
func.func @loop(%arg: tensor<128x64xf32>) -> tensor<128x64xf32> {
  %x = hr.buffer input number 0 dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  %c = hr.buffer temp slots 2 dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  %m = hr.buffer temp dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  %y = hr.buffer output number 0 dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  hr.run @loop_f grid [#hr.size<"8">] (%x, %c) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#rows, #rows] symbols []
    : !hr.buffer<f32>, !hr.buffer<f32>
  hr.loop 6 {
    hr.run @loop_g grid [#hr.size<"8">] (%c, %m) access [#hr<access read>, #hr<access write>]
      slots [#even, #first] footprints [#columns, #columns] symbols []
      : !hr.buffer<f32>, !hr.buffer<f32>
    hr.run @loop_f grid [#hr.size<"8">] (%m, %c) access [#hr<access read>, #hr<access write>]
      slots [#first, #odd] footprints [#rows, #rows] symbols []
      : !hr.buffer<f32>, !hr.buffer<f32>
  }
  hr.run @loop_f grid [#hr.size<"8">] (%c, %y) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#rows, #rows] symbols []
    : !hr.buffer<f32>, !hr.buffer<f32>
  return %arg : tensor<128x64xf32>
}

// Tiles that write the same indices stay on one worker; one tile needs one
// worker, and the others wait for it only if they read what it wrote.

// CHECK-LABEL: sched.program @together_2
// CHECK:         timeline @{{.+}}[w : 2] {
// CHECK-NEXT:      run @together_sum tiles [8 * (w floordiv 2), 8 * ((w + 1) floordiv 2)) (%{{.+}} -> %[[S:.+]])
// CHECK-NEXT:      wait @{{.+}}[1] >= 1
// CHECK-NEXT:      run @together_use tiles [4 * w, 4 * w + 4) (%[[S]] -> %{{.+}})
// CHECK-NEXT:    }
#all = #hr.footprint<(d0) -> (0, 0), [#hr.size<"128">, #hr.size<"64">]>
func.func @together(%arg: tensor<128x64xf32>) -> tensor<128x64xf32> {
  %x = hr.buffer input number 0 dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  %s = hr.buffer temp dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  %y = hr.buffer output number 0 dims [#hr.size<"128">, #hr.size<"64">] : !hr.buffer<f32>
  hr.run @together_sum grid [#hr.size<"8">] (%x, %s) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#rows, #all] symbols []
    : !hr.buffer<f32>, !hr.buffer<f32>
  hr.run @together_use grid [#hr.size<"8">] (%s, %y) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#rows, #rows] symbols []
    : !hr.buffer<f32>, !hr.buffer<f32>
  return %arg : tensor<128x64xf32>
}
