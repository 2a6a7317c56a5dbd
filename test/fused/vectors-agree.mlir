// RUN: headrace-opt %s --hr-form-stages=target=generic-x86-64-v4 | FileCheck %s

// The exponentials are stored while they are summed, so both nests have lanes
// along the row: a sum over lanes of columns would read what was stored at the
// stride of a row. A tile is as many rows as a private memory holds.

// CHECK: hr.stage @{{.*}} {plan = #hr.plan<tile = [16, 0], lanes = 16, stream = 128,
// CHECK-SAME: nests = [#hr.nest<vector = 1, vectors = 4, row = -1, rows = 1, block = 0, cost = {{[0-9]+}}>, #hr.nest<vector = 1,
func.func @main(%x: tensor<4096x4096xf32> {hr.name = "x"}) -> (tensor<4096x4096xf32> {hr.name = "y"}) attributes {hr.symbols = []} {
  %zero = arith.constant 0.0 : f32
  %rows = tensor.empty() : tensor<4096xf32>
  %empty = tensor.empty() : tensor<4096x4096xf32>
  %init = linalg.fill ins(%zero : f32) outs(%rows : tensor<4096xf32>) -> tensor<4096xf32>
  %e = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4096x4096xf32>) outs(%empty : tensor<4096x4096xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = math.exp %p : f32
    linalg.yield %q : f32
  } -> tensor<4096x4096xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<4096x4096xf32>) outs(%init : tensor<4096xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  } -> tensor<4096xf32>
  %d = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %s : tensor<4096x4096xf32>, tensor<4096xf32>) outs(%empty : tensor<4096x4096xf32>) {
  ^bb0(%p: f32, %t: f32, %o: f32):
    %q = arith.divf %p, %t : f32
    linalg.yield %q : f32
  } -> tensor<4096x4096xf32>
  return %d : tensor<4096x4096xf32>
}
