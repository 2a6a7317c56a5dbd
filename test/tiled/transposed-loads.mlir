// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-tile-stages,canonicalize,cse)' | FileCheck %s

// y = x transposed, 8 x 6 to 6 x 8, lanes along y's rows: where a square of 4 x 4 is
// whole, its columns are loaded as rows of x and transposed by shuffles; the
// rest is gathered.

// CHECK-LABEL: func.func private @turn(
// CHECK-SAME: memref<?xf32>, %[[Y:[^:]+]]: memref<?xf32>)
// CHECK-NOT: vector.gather
// CHECK-COUNT-4: vector.load %{{.+}} : memref<?xf32>, vector<4xf32>
// CHECK-COUNT-8: vector.shuffle %{{.+}} : vector<4xf32>, vector<4xf32>
// CHECK: vector.store %{{.+}}, %[[Y]]
// The two rows that are left over of six.
// CHECK: vector.gather
func.func @main(%x: tensor<8x6xf32> {hr.dims = [#hr.size<"8">, #hr.size<"6">], hr.name = "x"}) -> (tensor<6x8xf32> {hr.dims = [#hr.size<"6">, #hr.size<"8">], hr.name = "y"}) {
  %0 = hr.stage @turn (%x) {plan = #hr.plan<tile = [0, 0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 1, vectors = 1, row = 0, rows = 4, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<8x6xf32>) -> tensor<6x8xf32> {
  ^bb0(%a: tensor<8x6xf32>):
    %e = tensor.empty() : tensor<6x8xf32>
    %n = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<8x6xf32>) outs(%e : tensor<6x8xf32>) {
    ^bb0(%p: f32, %o: f32):
      linalg.yield %p : f32
    } -> tensor<6x8xf32>
    hr.yield %n : tensor<6x8xf32>
  }
  return %0 : tensor<6x8xf32>
}
