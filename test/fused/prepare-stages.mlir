// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-prepare-stages)' | FileCheck %s

// Joining is writing the parts into one buffer.

// CHECK-LABEL: func.func @concat
// CHECK: %[[E:.+]] = tensor.empty() : tensor<5x4xf32>
// CHECK: %[[A:.+]] = hr.update %[[E]] with %arg0 at [#hr.size<"0">, #hr.size<"0">]
// CHECK: %[[B:.+]] = hr.update %[[A]] with %arg1 at [#hr.size<"2">, #hr.size<"0">]
// CHECK: return %[[B]]
func.func @concat(%a: tensor<2x4xf32> {hr.dims = [#hr.size<"2">, #hr.size<"4">], hr.name = "a"},
                  %b: tensor<3x4xf32> {hr.dims = [#hr.size<"3">, #hr.size<"4">], hr.name = "b"}) -> tensor<5x4xf32> {
  %0 = hr.concat dim 0 (%a, %b) dims [#hr.size<"5">, #hr.size<"4">] : (tensor<2x4xf32>, tensor<3x4xf32>) -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----

// A transposition that is then merged into one dimension needs a copy between.

// CHECK-LABEL: func.func @merge_transposed
// CHECK: %[[T:.+]] = hr.view
// CHECK: %[[C:.+]] = linalg.generic
// CHECK-SAME: ins(%[[T]]
// CHECK: hr.reshape %[[C]]
func.func @merge_transposed(%a: tensor<2x4xf32> {hr.dims = [#hr.size<"2">, #hr.size<"4">], hr.name = "a"}) -> tensor<8xf32> {
  %t = hr.view %a at [#hr.size<"0">, #hr.size<"0">] map affine_map<(d0, d1) -> (d1, d0)> dims [#hr.size<"4">, #hr.size<"2">] : tensor<2x4xf32> to tensor<4x2xf32>
  %0 = hr.reshape %t to [#hr.size<"8">] : tensor<4x2xf32> to tensor<8xf32>
  %e = tensor.empty() : tensor<8xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%0 : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<8xf32>
  return %n : tensor<8xf32>
}

// -----

// A state is updated where it lies, through a reshape that only adds a
// dimension of one; who still needs the old value reads a snapshot.

hr.state @cache : tensor<1x8x4xf32>
// CHECK-LABEL: func.func @in_place
// CHECK: %[[R:.+]] = hr.read_state [@cache] : tensor<1x8x4xf32>
// CHECK: %[[S:.+]] = linalg.generic
// CHECK-SAME: ins(%[[R]]
// CHECK: %[[U:.+]] = hr.update %[[R]] with %arg0
// CHECK: hr.write_state %[[U]], [@cache]
// CHECK: linalg.generic
// CHECK-SAME: ins(%[[S]]
func.func @in_place(%v: tensor<2x4xf32> {hr.dims = [#hr.size<"2">, #hr.size<"4">], hr.name = "v"}) -> tensor<1x8x4xf32> {
  %r = hr.read_state [@cache] : tensor<1x8x4xf32>
  %f = hr.reshape %r to [#hr.size<"8">, #hr.size<"4">] : tensor<1x8x4xf32> to tensor<8x4xf32>
  %u = hr.update %f with %v at [#hr.size<"3">, #hr.size<"0">] map affine_map<(d0, d1) -> (d0, d1)> : tensor<8x4xf32>, tensor<2x4xf32>
  %b = hr.reshape %u to [#hr.size<"1">, #hr.size<"8">, #hr.size<"4">] : tensor<8x4xf32> to tensor<1x8x4xf32>
  hr.write_state %b, [@cache] : tensor<1x8x4xf32>
  %e = tensor.empty() : tensor<1x8x4xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(a, b, c) -> (a, b, c)>, affine_map<(a, b, c) -> (a, b, c)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%r : tensor<1x8x4xf32>) outs(%e : tensor<1x8x4xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<1x8x4xf32>
  return %n : tensor<1x8x4xf32>
}

// -----

// An argument that is returned is the caller's: the result is a copy.

// CHECK-LABEL: func.func @identity
// CHECK: %[[C:.+]] = linalg.generic
// CHECK-SAME: ins(%arg0
// CHECK: return %[[C]]
func.func @identity(%a: tensor<4xf32> {hr.dims = [#hr.size<"4">], hr.name = "a"}) -> tensor<4xf32> {
  return %a : tensor<4xf32>
}

// -----

// Of two updates of what a state held, the one that ends in the state's write is
// done where the state lies; the other has a copy.

hr.state @table : tensor<8xf32>
// CHECK-LABEL: func.func @two_updates
// CHECK: %[[R:.+]] = hr.read_state [@table] : tensor<8xf32>
// CHECK: %[[C:.+]] = linalg.generic
// CHECK-SAME: ins(%[[R]]
// CHECK: hr.update %[[C]] with %arg0
// CHECK: %[[U:.+]] = hr.update %[[R]] with %arg0
// CHECK: hr.write_state %[[U]], [@table]
func.func @two_updates(%v: tensor<2xf32> {hr.dims = [#hr.size<"2">], hr.name = "v"}) -> tensor<8xf32> {
  %r = hr.read_state [@table] : tensor<8xf32>
  %o = hr.update %r with %v at [#hr.size<"0">] map affine_map<(d0) -> (d0)> : tensor<8xf32>, tensor<2xf32>
  %u = hr.update %r with %v at [#hr.size<"3">] map affine_map<(d0) -> (d0)> : tensor<8xf32>, tensor<2xf32>
  hr.write_state %u, [@table] : tensor<8xf32>
  return %o : tensor<8xf32>
}

// -----

// What the state held between two updates is read later: from a snapshot.

hr.state @cache : tensor<8xf32>
// CHECK-LABEL: func.func @between
// CHECK: %[[R:.+]] = hr.read_state [@cache] : tensor<8xf32>
// CHECK: %[[A:.+]] = hr.update %[[R]] with %arg0
// CHECK: %[[S:.+]] = linalg.generic
// CHECK-SAME: ins(%[[A]]
// CHECK: %[[B:.+]] = hr.update %[[A]] with %arg0
// CHECK: hr.write_state %[[B]], [@cache]
// CHECK: return %[[S]]
func.func @between(%v: tensor<2xf32> {hr.dims = [#hr.size<"2">], hr.name = "v"}) -> tensor<8xf32> {
  %r = hr.read_state [@cache] : tensor<8xf32>
  %a = hr.update %r with %v at [#hr.size<"0">] map affine_map<(d0) -> (d0)> : tensor<8xf32>, tensor<2xf32>
  %b = hr.update %a with %v at [#hr.size<"3">] map affine_map<(d0) -> (d0)> : tensor<8xf32>, tensor<2xf32>
  hr.write_state %b, [@cache] : tensor<8xf32>
  return %a : tensor<8xf32>
}
