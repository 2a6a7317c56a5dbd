// RUN: headrace-opt %s --canonicalize | FileCheck %s

// Views of views are one view; its offset is the outer's through the inner map.
// CHECK-LABEL: func.func @view_of_view
// CHECK-NEXT: %[[V:.+]] = hr.view %arg0 at [#hr.size<"5">, #hr.size<"2 * s0">] map #{{.+}} dims [#hr.size<"2">] : tensor<10x?xf32> to tensor<2xf32>
// CHECK-NEXT: return %[[V]]
func.func @view_of_view(%x: tensor<10x?xf32> {hr.dims = [#hr.size<"10">, #hr.size<"4 * s0">], hr.name = "x"}) -> tensor<2xf32> {
  %0 = hr.view %x at [#hr.size<"1">, #hr.size<"0">] map affine_map<(d0, d1) -> (d1 * 2, d0)>
      dims [#hr.size<"4 * s0">, #hr.size<"4">] : tensor<10x?xf32> to tensor<?x4xf32>
  %1 = hr.view %0 at [#hr.size<"2 * s0">, #hr.size<"2">] map affine_map<(d0) -> (0, d0)>
      dims [#hr.size<"2">] : tensor<?x4xf32> to tensor<2xf32>
  return %1 : tensor<2xf32>
}

// CHECK-LABEL: func.func @reshape_there_and_back
// CHECK-NEXT: return %arg0
func.func @reshape_there_and_back(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %0 = hr.reshape %x to [#hr.size<"24">] : tensor<4x6xf32> to tensor<24xf32>
  %1 = hr.reshape %0 to [#hr.size<"4">, #hr.size<"6">] : tensor<24xf32> to tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// CHECK-LABEL: func.func @identity_view
// CHECK-NEXT: return %arg0
func.func @identity_view(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = hr.view %x at [#hr.size<"0">] map affine_map<(d0) -> (d0)> dims [#hr.size<"4">] : tensor<4xf32> to tensor<4xf32>
  return %0 : tensor<4xf32>
}

// A flip is not the identity.
// CHECK-LABEL: func.func @flip
// CHECK-NEXT: hr.view
func.func @flip(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = hr.view %x at [#hr.size<"3">] map affine_map<(d0) -> (-d0)> dims [#hr.size<"4">] : tensor<4xf32> to tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func.func @size
// CHECK-NEXT: %[[C:.+]] = arith.constant 6 : index
func.func @size() -> index {
  %0 = hr.size #hr.size<"6">
  return %0 : index
}
