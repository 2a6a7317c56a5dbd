// RUN: headrace-opt %s --hr-simplify --split-input-file | FileCheck %s
// RUN: headrace-opt %s --split-input-file --hr-evaluate-entries="compare=hr-simplify" -o /dev/null

// A transposition is read through the consumer's map.

// CHECK-DAG: #[[T:.+]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-LABEL: func.func @transposed_input
// CHECK-NOT: hr.view
// CHECK: linalg.generic {indexing_maps = [#[[T]], #{{.+}}]
// CHECK-SAME: ins(%arg0
func.func @transposed_input(%x: tensor<?x4xf32> {hr.name = "x", hr.dims = [#hr.size<"s0">, #hr.size<"4">]})
    -> (tensor<4x?xf32> {hr.name = "y", hr.dims = [#hr.size<"4">, #hr.size<"s0">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 1, 8>]} {
  %t = hr.view %x at [#hr.size<"0">, #hr.size<"0">] map affine_map<(d0, d1) -> (d1, d0)> dims [#hr.size<"4">, #hr.size<"s0">]
      : tensor<?x4xf32> to tensor<4x?xf32>
  %n = hr.size #hr.size<"s0">
  %e = tensor.empty(%n) : tensor<4x?xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%t : tensor<4x?xf32>) outs(%e : tensor<4x?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<4x?xf32>
  return %a : tensor<4x?xf32>
}

// -----

// Where the reader has no maps (a reshape), the producer writes transposed.

// CHECK-DAG: #[[ID:.+]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[OUT:.+]] = affine_map<(d0, d1, d2) -> (d1, d0, d2)>
// CHECK-LABEL: func.func @transposed_result
// CHECK: %[[A:.+]] = linalg.generic {indexing_maps = [#[[ID]], #[[OUT]]]
// CHECK-SAME: outs(%{{.+}} : tensor<3x2x4xf32>)
// CHECK-NOT: hr.view
// CHECK: hr.reshape %[[A]]
func.func @transposed_result(%x: tensor<2x3x4xf32> {hr.name = "x", hr.dims = [#hr.size<"2">, #hr.size<"3">, #hr.size<"4">]})
    -> (tensor<3x8xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"8">]}) {
  %e = tensor.empty() : tensor<2x3x4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : tensor<2x3x4xf32>) outs(%e : tensor<2x3x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<2x3x4xf32>
  %t = hr.view %a at [#hr.size<"0">, #hr.size<"0">, #hr.size<"0">] map affine_map<(d0, d1, d2) -> (d1, d0, d2)>
      dims [#hr.size<"3">, #hr.size<"2">, #hr.size<"4">] : tensor<2x3x4xf32> to tensor<3x2x4xf32>
  %r = hr.reshape %t to [#hr.size<"3">, #hr.size<"8">] : tensor<3x2x4xf32> to tensor<3x8xf32>
  return %r : tensor<3x8xf32>
}

// -----

// A slice stays a strided alias; what it is transposed by goes into the map.

// CHECK-LABEL: func.func @slice_then_transpose
// CHECK: %[[S:.+]] = hr.view %arg0 at [#hr.size<"1">, #hr.size<"0">] map #{{.+}} dims [#hr.size<"2">, #hr.size<"4">]
// CHECK-NOT: hr.view
// CHECK: linalg.generic
// CHECK-SAME: ins(%[[S]] : tensor<2x4xf32>)
func.func @slice_then_transpose(%x: tensor<6x4xf32> {hr.name = "x", hr.dims = [#hr.size<"6">, #hr.size<"4">]})
    -> (tensor<4x2xf32> {hr.name = "y", hr.dims = [#hr.size<"4">, #hr.size<"2">]}) {
  %t = hr.view %x at [#hr.size<"1">, #hr.size<"0">] map affine_map<(d0, d1) -> (d1 * 2, d0)> dims [#hr.size<"4">, #hr.size<"2">]
      : tensor<6x4xf32> to tensor<4x2xf32>
  %e = tensor.empty() : tensor<4x2xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]} ins(%t : tensor<4x2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<4x2xf32>
  return %a : tensor<4x2xf32>
}

// -----

// The broadcast dimension is the reduction's: without the view nothing would
// say how far it goes, so it stays.

// CHECK-LABEL: func.func @broadcast_reduced
// CHECK: hr.view
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
func.func @broadcast_reduced(%x: tensor<3xf32> {hr.name = "x", hr.dims = [#hr.size<"3">]})
    -> (tensor<3xf32> {hr.name = "y", hr.dims = [#hr.size<"3">]}) {
  %b = hr.view %x at [#hr.size<"0">] map affine_map<(d0, d1) -> (d0)> dims [#hr.size<"3">, #hr.size<"5">]
      : tensor<3xf32> to tensor<3x5xf32>
  %e = tensor.empty() : tensor<3xf32>
  %z = arith.constant 0.0 : f32
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<3xf32>) -> tensor<3xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
      iterator_types = ["parallel", "reduction"]} ins(%b : tensor<3x5xf32>) outs(%f : tensor<3xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.addf %i, %o : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  return %a : tensor<3xf32>
}
