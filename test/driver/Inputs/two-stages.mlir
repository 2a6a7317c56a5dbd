// Two products of one row, which are a stage each: together they would be one tile.
#id = affine_map<(d0, d1) -> (d0, d1)>
#lhs = affine_map<(d0, d1, d2) -> (d0, d2)>
#rhs = affine_map<(d0, d1, d2) -> (d2, d1)>
#out = affine_map<(d0, d1, d2) -> (d0, d1)>
func.func @main(
    %x: tensor<1x400xf32> {hr.name = "x", hr.dims = [#hr.size<"1">, #hr.size<"400">]},
    %a: tensor<400x500xf32> {hr.name = "a", hr.dims = [#hr.size<"400">, #hr.size<"500">]},
    %b: tensor<500x200xf32> {hr.name = "b", hr.dims = [#hr.size<"500">, #hr.size<"200">]},
    %c: tensor<1x200xf32> {hr.name = "c", hr.dims = [#hr.size<"1">, #hr.size<"200">]})
    -> (tensor<1x200xf32> {hr.name = "z", hr.dims = [#hr.size<"1">, #hr.size<"200">]})
    attributes {hr.symbols = []} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x500xf32>
  %f = tensor.empty() : tensor<1x200xf32>
  %e0 = linalg.fill ins(%zero : f32) outs(%e : tensor<1x500xf32>) -> tensor<1x500xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%f : tensor<1x200xf32>) -> tensor<1x200xf32>
  %y = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %a : tensor<1x400xf32>, tensor<400x500xf32>) outs(%e0 : tensor<1x500xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %m = arith.mulf %p, %q : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x500xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<1x500xf32>) outs(%e : tensor<1x500xf32>) {
  ^bb0(%p: f32, %o: f32):
    %k = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %k : f32
    linalg.yield %m : f32
  } -> tensor<1x500xf32>
  %w = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%r, %b : tensor<1x500xf32>, tensor<500x200xf32>) outs(%f0 : tensor<1x200xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %m = arith.mulf %p, %q : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x200xf32>
  %z = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w, %c : tensor<1x200xf32>, tensor<1x200xf32>) outs(%f : tensor<1x200xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %m = arith.subf %p, %q : f32
    linalg.yield %m : f32
  } -> tensor<1x200xf32>
  return %z : tensor<1x200xf32>
}
