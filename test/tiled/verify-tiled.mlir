// RUN: headrace-opt %s --hr-verify-tiled -split-input-file -verify-diagnostics

#first = affine_map<(i) -> (0)>
#all = #hr.footprint<(d0) -> (0), [#hr.size<"8">]>
func.func @right(%x: tensor<8xf32>) -> tensor<8xf32> {
  %a = hr.buffer input number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  %b = hr.buffer output number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  hr.run @f grid [#hr.size<"1">] (%a, %b) access [#hr<access read>, #hr<access write>]
    slots [#first, #first] footprints [#all, #all] symbols []
    : !hr.buffer<f32>, !hr.buffer<f32>
  return %x : tensor<8xf32>
}
func.func private @f(%lo: index, %hi: index, %s: memref<?xi8>, %c: memref<?xi8>, %a: memref<?xf32>, %b: memref<?xf32>) {
  return
}

// -----

func.func @elsewhere(%x: memref<8xf32>, %y: memref<8xf32>) {
  // expected-error @+1 {{'memref.copy' is not of the tiled phase: nothing would execute it}}
  memref.copy %x, %y : memref<8xf32> to memref<8xf32>
  return
}

// -----

#first = affine_map<(i) -> (0)>
#all = #hr.footprint<(d0) -> (0), [#hr.size<"8">]>
func.func @missing(%x: tensor<8xf32>) -> tensor<8xf32> {
  %a = hr.buffer output number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  // expected-error @+1 {{no function 'f'}}
  hr.run @f grid [#hr.size<"1">] (%a) access [#hr<access write>]
    slots [#first] footprints [#all] symbols [] : !hr.buffer<f32>
  // expected-error @+1 {{expected stage 'g' to be of type}}
  hr.run @g grid [#hr.size<"1">] (%a) access [#hr<access write>]
    slots [#first] footprints [#all] symbols [] : !hr.buffer<f32>
  return %x : tensor<8xf32>
}
func.func private @g(%lo: index, %hi: index, %s: memref<?xi8>, %c: memref<?xi8>, %a: memref<?xf64>) {
  return
}

// -----

#first = affine_map<(i) -> (0)>
#all = #hr.footprint<(d0) -> (0), [#hr.size<"8">]>
func.func @allocates(%x: tensor<8xf32>) -> tensor<8xf32> {
  %a = hr.buffer output number 0 dims [#hr.size<"8">] : !hr.buffer<f32>
  hr.run @f grid [#hr.size<"1">] (%a) access [#hr<access write>]
    slots [#first] footprints [#all] symbols [] : !hr.buffer<f32>
  return %x : tensor<8xf32>
}
func.func private @f(%lo: index, %hi: index, %s: memref<?xi8>, %c: memref<?xi8>, %a: memref<?xf32>) {
  // expected-error @+1 {{'memref.alloc' is not of the tiled phase: the stage's plan names no memory for it}}
  %m = memref.alloc() : memref<8xf32>
  return
}
