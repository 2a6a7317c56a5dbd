// RUN: headrace-opt %s --sched-build-programs=target=generic-x86-64-v3 -split-input-file -verify-diagnostics

// What a schedule has no command for must not get lost on the way into one.

#first = affine_map<(i) -> (0)>
#all = #hr.footprint<(d0) -> (0), [#hr.size<"8">]>
func.func @copy(%x: memref<8xf32>, %y: memref<8xf32>) {
  %a = hr.buffer input number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  %b = hr.buffer output number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  // expected-error @+1 {{'memref.copy' cannot be scheduled: it is neither a run nor a loop of runs}}
  memref.copy %x, %y : memref<8xf32> to memref<8xf32>
  hr.run @f grid [#hr.size<"1">] (%a, %b) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#all, #all] symbols []
    : !hr.buffer<f32>, !hr.buffer<f32>
  return
}

// -----

func.func @computed(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error @+1 {{'arith.negf' cannot be scheduled: it is neither a run nor a loop of runs}}
  %y = arith.negf %x : tensor<8xf32>
  return %y : tensor<8xf32>
}
