// Workers that are teams (the multiprocessors of a GPU) come together or in parts
// of a device: there are three programs at most.

// RUN: headrace-opt %s --sched-build-programs="target=nvidia-h200" | FileCheck %s

// CHECK: sched.program @rows_1 of @rows workers 1
// CHECK: sched.program @rows_66 of @rows workers 66
// CHECK: sched.program @rows_132 of @rows workers 132 scratch 256 in @smem
// CHECK-NOT: sched.program
#rows = #hr.footprint<(d0) -> (d0 * 16, 0), [#hr.size<"16">, #hr.size<"64">]>
#first = affine_map<(i) -> (0)>
func.func @rows(%arg: tensor<8192x64xf32>) -> tensor<8192x64xf32> {
  %x = hr.buffer input number 0 dims [#hr.size<"8192">, #hr.size<"64">] : !hr.buffer<f32>
  %y = hr.buffer output number 0 dims [#hr.size<"8192">, #hr.size<"64">] : !hr.buffer<f32>
  hr.run @rows_f grid [#hr.size<"512">] (%x, %y) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#rows, #rows] symbols [] scratch 256
    : !hr.buffer<f32>, !hr.buffer<f32>
  %r = ub.poison : tensor<8192x64xf32>
  return %r : tensor<8192x64xf32>
}
