import { leaseBehaviours } from '../unit/lease/behaviours.ts';
import { startEtcd } from './server.ts';

leaseBehaviours(async (t) => {
  const etcd = await startEtcd(t);
  return () => etcd.open();
});
