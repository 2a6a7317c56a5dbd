// RUN: headrace-opt %s --hr-simplify --split-input-file | FileCheck %s
// RUN: headrace-opt %s --split-input-file --hr-evaluate-entries="compare=hr-simplify" -o /dev/null

// Reading back what was just written reads the value.

// CHECK-LABEL: func.func @view_of_update
// CHECK-NOT: hr.update
// CHECK-NOT: hr.view
// CHECK: return %arg1
func.func @view_of_update(%x: tensor<6x4xf32> {hr.name = "x", hr.dims = [#hr.size<"6">, #hr.size<"4">]},
                          %v: tensor<2x4xf32> {hr.name = "v", hr.dims = [#hr.size<"2">, #hr.size<"4">]})
    -> (tensor<2x4xf32> {hr.name = "y", hr.dims = [#hr.size<"2">, #hr.size<"4">]}) {
  %u = hr.update %x with %v at [#hr.size<"1">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> : tensor<6x4xf32>, tensor<2x4xf32>
  %r = hr.view %u at [#hr.size<"1">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"2">, #hr.size<"4">]
      : tensor<6x4xf32> to tensor<2x4xf32>
  return %r : tensor<2x4xf32>
}

// -----

// Near miss: the same extents, one row further.

// CHECK-LABEL: func.func @view_beside_update
// CHECK: hr.update
// CHECK: hr.view
func.func @view_beside_update(%x: tensor<6x4xf32> {hr.name = "x", hr.dims = [#hr.size<"6">, #hr.size<"4">]},
                              %v: tensor<2x4xf32> {hr.name = "v", hr.dims = [#hr.size<"2">, #hr.size<"4">]})
    -> (tensor<2x4xf32> {hr.name = "y", hr.dims = [#hr.size<"2">, #hr.size<"4">]}) {
  %u = hr.update %x with %v at [#hr.size<"1">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> : tensor<6x4xf32>, tensor<2x4xf32>
  %r = hr.view %u at [#hr.size<"2">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"2">, #hr.size<"4">]
      : tensor<6x4xf32> to tensor<2x4xf32>
  return %r : tensor<2x4xf32>
}

// -----

// Splitting and joining again gives back the source.

// CHECK-LABEL: func.func @concat_of_slices
// CHECK-NEXT: return %arg0
func.func @concat_of_slices(%x: tensor<6x?xf32> {hr.name = "x", hr.dims = [#hr.size<"6">, #hr.size<"s0">]})
    -> (tensor<6x?xf32> {hr.name = "y", hr.dims = [#hr.size<"6">, #hr.size<"s0">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 1, 8>]} {
  %a = hr.view %x at [#hr.size<"0">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"2">, #hr.size<"s0">]
      : tensor<6x?xf32> to tensor<2x?xf32>
  %b = hr.view %x at [#hr.size<"2">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"4">, #hr.size<"s0">]
      : tensor<6x?xf32> to tensor<4x?xf32>
  %c = hr.concat dim 0 (%a, %b) dims [#hr.size<"6">, #hr.size<"s0">] : (tensor<2x?xf32>, tensor<4x?xf32>) -> tensor<6x?xf32>
  return %c : tensor<6x?xf32>
}

// -----

// Near miss: joined in the other order.

// CHECK-LABEL: func.func @concat_swapped
// CHECK: hr.concat
func.func @concat_swapped(%x: tensor<6x4xf32> {hr.name = "x", hr.dims = [#hr.size<"6">, #hr.size<"4">]})
    -> (tensor<6x4xf32> {hr.name = "y", hr.dims = [#hr.size<"6">, #hr.size<"4">]}) {
  %a = hr.view %x at [#hr.size<"0">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"3">, #hr.size<"4">]
      : tensor<6x4xf32> to tensor<3x4xf32>
  %b = hr.view %x at [#hr.size<"3">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"3">, #hr.size<"4">]
      : tensor<6x4xf32> to tensor<3x4xf32>
  %c = hr.concat dim 0 (%b, %a) dims [#hr.size<"6">, #hr.size<"4">] : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<6x4xf32>
  return %c : tensor<6x4xf32>
}

// -----

// A slice within one input of a concat, at symbolic places.

// CHECK-LABEL: func.func @slice_of_concat
// CHECK-NOT: hr.concat
// CHECK: return %arg1
func.func @slice_of_concat(%x: tensor<?x4xf32> {hr.name = "x", hr.dims = [#hr.size<"s0">, #hr.size<"4">]},
                           %y: tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "z", hr.dims = [#hr.size<"3">, #hr.size<"4">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 1, 8>]} {
  %c = hr.concat dim 0 (%x, %y) dims [#hr.size<"s0 + 3">, #hr.size<"4">] : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %r = hr.view %c at [#hr.size<"s0">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> dims [#hr.size<"3">, #hr.size<"4">]
      : tensor<?x4xf32> to tensor<3x4xf32>
  return %r : tensor<3x4xf32>
}

// -----

// CHECK-LABEL: func.func @pad_by_nothing
// CHECK-NEXT: return %arg0
func.func @pad_by_nothing(%x: tensor<6xf32> {hr.name = "x", hr.dims = [#hr.size<"6">]})
    -> (tensor<6xf32> {hr.name = "y", hr.dims = [#hr.size<"6">]}) {
  %p = hr.pad %x low [#hr.size<"0">] high [#hr.size<"0">] value 0.0 : f32 dims [#hr.size<"6">] : tensor<6xf32> to tensor<6xf32>
  return %p : tensor<6xf32>
}
